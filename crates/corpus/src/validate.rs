//! What the settings of a corpus may be. Cleaning and filter settings are checked by [`crate::Cleaner`] and [`crate::Filter`].

use grulm_config::Invalid;

use crate::{CorpusConfig, Encoding, Special, TokenizerConfig, TokenizerKind};

impl CorpusConfig {
    /// Checks `[corpus]` and `[corpus.dedup]`.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.dir.file_name().is_none() {
            return Err(Invalid::new("corpus.dir", &self.dir, "a folder to write to"));
        }
        if self.train.is_empty() {
            return Err(Invalid::new("corpus.train", &self.train, "files, folders or globs with training text"));
        }
        if !self.text_field.are_named() {
            let (key, names) = ("corpus.text_field", self.text_field.names().collect::<Vec<_>>());
            return Err(match names.as_slice() {
                [name] => Invalid::new(key, name, "the name of a field or column"),
                names => Invalid::new(key, names, "names of fields or columns, each once"),
            });
        }
        Encoding::parse("corpus.encoding", &self.encoding)?;
        self.validate_fractions()?;
        let dedup = &self.dedup;
        if !(dedup.jaccard > 0.0 && dedup.jaccard <= 1.0) {
            return Err(Invalid::new("corpus.dedup.jaccard", dedup.jaccard, "above 0, at most 1"));
        }
        if !(1..=1024).contains(&dedup.permutations) {
            return Err(Invalid::new("corpus.dedup.permutations", dedup.permutations, "1 to 1024"));
        }
        Ok(())
    }

    fn validate_fractions(&self) -> Result<(), Invalid> {
        let fractions = [("valid", self.valid_fraction, &self.valid), ("test", self.test_fraction, &self.test)];
        for (split, fraction, files) in fractions {
            let key = format!("corpus.{split}_fraction");
            if !(0.0..1.0).contains(&fraction) {
                return Err(Invalid::new(key, fraction, "0 or more, less than 1"));
            }
            if fraction > 0.0 && !files.is_empty() {
                return Err(Invalid::new(key, fraction, format!("0, since `corpus.{split}` names files")));
            }
        }
        if self.valid_fraction + self.test_fraction >= 1.0 {
            let allowed = format!("less than 1 together with `corpus.valid_fraction` = {}", self.valid_fraction);
            return Err(Invalid::new("corpus.test_fraction", self.test_fraction, allowed));
        }
        Ok(())
    }
}

impl TokenizerConfig {
    /// Checks `[tokenizer]`.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        let bytes = matches!(self.kind, TokenizerKind::ByteBpe | TokenizerKind::Byte);
        let least = Special::ALL.len() + if bytes { 256 } else { 1 };
        if self.vocab_size < least || u32::try_from(self.vocab_size).is_err() {
            let allowed =
                format!("{least} to {}: the six specials and {}", u32::MAX, if bytes { "every byte" } else { "text" });
            return Err(Invalid::new("tokenizer.vocab_size", self.vocab_size, allowed));
        }
        if self.min_frequency == 0 {
            return Err(Invalid::new("tokenizer.min_frequency", 0, "at least 1"));
        }
        // Positions in the sample are 32 bits wide.
        if !(1..4096).contains(&self.sample_mib) {
            return Err(Invalid::new("tokenizer.sample_mib", self.sample_mib, "1 to 4095"));
        }
        if let Some(unknown) = self.specials_in_text.iter().find(|text| Special::from_text(text).is_none()) {
            let allowed = Special::ALL.map(Special::text).join(", ");
            return Err(Invalid::new("tokenizer.specials_in_text", unknown, allowed));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpus_settings() {
        let good = || CorpusConfig { dir: "runs/c".into(), train: vec!["a.txt".into()], ..CorpusConfig::default() };
        good().validate().unwrap();
        let check = |edit: fn(&mut CorpusConfig), says: &str| {
            let mut config = good();
            edit(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(says), "{message:?} does not begin with {says:?}");
        };
        check(|c| c.dir = "".into(), "`corpus.dir` = \"\"");
        check(|c| c.dir = "..".into(), "`corpus.dir` = \"..\"");
        check(|c| c.train.clear(), "`corpus.train` = []");
        check(|c| c.text_field = "".into(), "`corpus.text_field` = \"\"");
        check(|c| c.text_field = ["a", ""].into(), "`corpus.text_field` = [\"a\", \"\"]");
        check(|c| c.text_field = ["a", "a"].into(), "`corpus.text_field` = [\"a\", \"a\"]");
        check(|c| c.text_field = [].into(), "`corpus.text_field` = []");
        check(|c| c.encoding = "utf-9".into(), "`corpus.encoding` = \"utf-9\"");
        check(|c| c.valid_fraction = 1.0, "`corpus.valid_fraction` = 1.0");
        check(|c| c.valid_fraction = f64::NAN, "`corpus.valid_fraction` = NaN");
        check(|c| c.test_fraction = -0.1, "`corpus.test_fraction` = -0.1");
        check(
            |c| (c.valid_fraction, c.test_fraction) = (0.5, 0.5),
            "`corpus.test_fraction` = 0.5: allowed: less than 1 together",
        );
        check(
            |c| (c.valid, c.valid_fraction) = (vec!["v".into()], 0.1),
            "`corpus.valid_fraction` = 0.1: allowed: 0, since",
        );
        check(|c| c.dedup.jaccard = 0.0, "`corpus.dedup.jaccard` = 0.0");
        check(|c| c.dedup.jaccard = 1.1, "`corpus.dedup.jaccard` = 1.1");
        check(|c| c.dedup.permutations = 0, "`corpus.dedup.permutations` = 0");
        check(|c| c.dedup.permutations = 1025, "`corpus.dedup.permutations` = 1025");
    }

    #[test]
    fn tokenizer_settings() {
        TokenizerConfig::default().validate().unwrap();
        let check = |edit: fn(&mut TokenizerConfig), says: &str| {
            let mut config = TokenizerConfig::default();
            edit(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(says), "{message:?} does not begin with {says:?}");
        };
        check(|t| t.vocab_size = 261, "`tokenizer.vocab_size` = 261: allowed: 262 to");
        check(|t| (t.kind, t.vocab_size) = (TokenizerKind::Word, 6), "`tokenizer.vocab_size` = 6: allowed: 7 to");
        check(|t| t.min_frequency = 0, "`tokenizer.min_frequency` = 0");
        check(|t| t.sample_mib = 0, "`tokenizer.sample_mib` = 0");
        check(|t| t.sample_mib = 4096, "`tokenizer.sample_mib` = 4096: allowed: 1 to 4095");
        check(|t| t.specials_in_text = vec!["<unknown>".into()], "`tokenizer.specials_in_text` = \"<unknown>\"");
    }
}
