//! The committed configs.

use std::fs;

use crate::program::{Workplace, root};

/// Every committed config is read and validated by the binary: a missing model is the only complaint.
#[test]
fn every_committed_config_is_valid() {
    let place = Workplace::empty();
    let mut count = 0;
    for entry in fs::read_dir(root().join("configs/finetune")).unwrap() {
        let path = entry.unwrap().path();
        let ran = place.run(&format!("train --set finetune.pretrained=nowhere -c {}", path.display()));
        assert_eq!(ran.status, Some(2), "{}: {}", path.display(), ran.stderr);
        assert!(ran.stderr.contains("`finetune.pretrained` = \"nowhere\""), "{}: {}", path.display(), ran.stderr);
        count += 1;
    }
    assert!(count >= 5, "{count} configs");
}
