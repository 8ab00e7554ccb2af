//! SIGKILL at random moments of a run of two stages: what is there at the end are the bytes of a run that was left alone.

use crate::{
    killing::{Moments, Ordeal, kills_wanted},
    program::Workplace,
    resume::trace,
};

#[test]
fn both_stages_survive_kills() {
    let place = Workplace::new();
    for precision in ["fp32", "bf16"] {
        let args = format!(
            "train -c c.toml --set finetune.adapt.train.steps=30 --set finetune.adapt.train.batch_size=8 \
             --set finetune.adapt.train.checkpoint_every=6 --set finetune.unfreeze=gradual --set train.steps=30 \
             --set train.checkpoint_every=6 --set train.log_every=1 --set train.precision={precision} \
             --set finetune.adapt.train.precision={precision}"
        );
        let whole = format!("whole-{precision}");
        let within = place.time(&format!("{args} --set run.dir={whole}"));
        let expected = trace(&place, &whole);
        let (mut moments, mut kills) = (Moments::new(), 0);
        let args = format!("{args} --resume");
        while kills < kills_wanted() {
            kills += place.survive(&Ordeal { args: &args, within }, &mut moments);
            assert!(trace(&place, "model") == expected, "{precision}, after {kills} kills");
            std::fs::remove_dir_all(place.path("model")).unwrap();
        }
        println!("{precision}: {kills} kills");
    }
}
