//! How classes are confused, and the figures that follow from it.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts of examples by their gold class and the predicted one. It takes memory for the pairs that there are, so the classes may be
/// many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Of gold and predicted class, those that are not 0.
    counts: BTreeMap<(usize, usize), u64>,
    /// Examples of each class.
    gold: Vec<u64>,
    /// Predictions of each class.
    predicted: Vec<u64>,
}

/// Figures of one class, each in `0..=1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassScore {
    /// Share of the predictions of this class that are right; 0 where there are none.
    pub precision: f64,
    /// Share of the examples of this class that were found; 0 where there are none.
    pub recall: f64,
    /// Harmonic mean of both; 0 where both are.
    pub f1: f64,
    /// Examples of this class.
    pub support: u64,
}

impl Confusion {
    /// No examples yet, of so many classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { counts: BTreeMap::new(), gold: vec![0; classes], predicted: vec![0; classes] }
    }

    /// Of two classes.
    pub(crate) fn of_two(counts: [[u64; 2]; 2]) -> Self {
        let mut two = Self::new(2);
        for (gold, row) in counts.into_iter().enumerate() {
            row.into_iter().enumerate().for_each(|(predicted, examples)| two.add_many(gold, predicted, examples));
        }
        two
    }

    /// Counts an example.
    ///
    /// # Panics
    /// When one of the two is not below the number of classes.
    pub fn add(&mut self, gold: usize, predicted: usize) {
        self.add_many(gold, predicted, 1);
    }

    fn add_many(&mut self, gold: usize, predicted: usize, examples: u64) {
        let classes = self.classes();
        assert!(gold < classes && predicted < classes, "class {gold} or {predicted} of {classes}");
        *self.counts.entry((gold, predicted)).or_default() += examples;
        self.gold[gold] += examples;
        self.predicted[predicted] += examples;
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.gold.len()
    }

    /// Examples of class `gold` that were taken for `predicted`.
    #[must_use]
    pub fn count(&self, gold: usize, predicted: usize) -> u64 {
        self.counts.get(&(gold, predicted)).copied().unwrap_or(0)
    }

    /// The counts, a row a gold class.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u64>> {
        let classes = 0..self.classes();
        classes.clone().map(move |gold| classes.clone().map(|predicted| self.count(gold, predicted)).collect())
    }

    /// Number of examples.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.gold.iter().sum()
    }

    fn correct(&self) -> u64 {
        (0..self.classes()).map(|class| self.count(class, class)).sum()
    }

    /// Share of the examples that are right; 0 of none.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct(), self.examples())
    }

    /// The 95 % interval of the accuracy (Wilson 1927, "Probable inference, the law of succession, and statistical
    /// inference"): it stays within `0..=1` and holds for few examples and for shares near 0 and 1.
    #[must_use]
    pub fn interval_95(&self) -> (f64, f64) {
        /// The 97.5 % quantile of the normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        let examples = self.examples() as f64;
        if examples == 0.0 {
            return (0.0, 1.0);
        }
        let share = self.accuracy();
        let centre = share + Z * Z / (2.0 * examples);
        let reach = Z * (share * (1.0 - share) / examples + Z * Z / (4.0 * examples * examples)).sqrt();
        let scale = 1.0 + Z * Z / examples;
        (((centre - reach) / scale).max(0.0), ((centre + reach) / scale).min(1.0))
    }

    /// The figures of each class.
    #[must_use]
    pub fn per_class(&self) -> Vec<ClassScore> {
        (0..self.classes()).map(|class| self.class_score(class)).collect()
    }

    fn class_score(&self, class: usize) -> ClassScore {
        let (correct, support, predicted) = (self.count(class, class), self.gold[class], self.predicted[class]);
        ClassScore {
            precision: ratio(correct, predicted),
            recall: ratio(correct, support),
            f1: ratio(2 * correct, support + predicted),
            support,
        }
    }

    /// Mean F1 over the classes that have an example or a prediction; 0 where none has.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        let scores: Vec<f64> = (0..self.classes())
            .filter(|&class| self.gold[class] + self.predicted[class] > 0)
            .map(|class| self.class_score(class).f1)
            .collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }

    /// Matthews' correlation coefficient, for any number of classes (Gorodkin 2004, "Comparing two K-category assignments
    /// by a K-category correlation coefficient"); 0 where all examples or all predictions are of one class.
    #[must_use]
    pub fn mcc(&self) -> f64 {
        let examples = self.examples() as f64;
        let (mut chance, mut gold, mut predicted) = (0.0, 0.0, 0.0);
        for (&of_gold, &of_predicted) in self.gold.iter().zip(&self.predicted) {
            let (of_gold, of_predicted) = (of_gold as f64, of_predicted as f64);
            chance += of_gold * of_predicted;
            gold += of_gold * of_gold;
            predicted += of_predicted * of_predicted;
        }
        let square = examples * examples;
        let scale = ((square - gold) * (square - predicted)).sqrt();
        if scale > 0.0 { (self.correct() as f64 * examples - chance) / scale } else { 0.0 }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(classes: usize, pairs: &[(usize, usize)]) -> Confusion {
        let mut confusion = Confusion::new(classes);
        pairs.iter().for_each(|&(gold, predicted)| confusion.add(gold, predicted));
        confusion
    }

    #[track_caller]
    fn check(found: impl IntoIterator<Item = f64>, expect: impl IntoIterator<Item = f64>) {
        let (found, expect): (Vec<_>, Vec<_>) = (found.into_iter().collect(), expect.into_iter().collect());
        let close = |(found, expect): (&f64, &f64)| (found - expect).abs() < 1e-12;
        assert!(found.len() == expect.len() && found.iter().zip(&expect).all(close), "{found:?} instead of {expect:?}");
    }

    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        // from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
        // [accuracy_score(g, p), f1_score(g, p, average="macro"), matthews_corrcoef(g, p)]
        // scipy.stats.binomtest(sum(a == b for a, b in zip(g, p)), len(g)).proportion_ci(method="wilson")
        let check = |classes, gold: &[usize], predicted: &[usize], expect: [f64; 5]| {
            let pairs: Vec<_> = gold.iter().copied().zip(predicted.iter().copied()).collect();
            let confusion = confusion(classes, &pairs);
            let (low, high) = confusion.interval_95();
            check([confusion.accuracy(), confusion.macro_f1(), confusion.mcc(), low, high], expect);
        };
        check(
            4,
            &[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2],
            &[0, 0, 0, 0, 1, 2, 1, 1, 1, 0, 2, 2, 2, 0, 1, 1, 2],
            [0.6470588235294118, 0.6444444444444444, 0.4842373546132484, 0.41300363485218683, 0.8269027960275626],
        );
        check(
            2,
            &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
            &[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1],
            [0.75, 0.7333333333333334, 0.47809144373375745, 0.46769466506643426, 0.9110583316059453],
        );
        check(1, &[0, 0, 0], &[0, 0, 0], [1.0, 1.0, 0.0, 0.4385029682449546, 1.0]);
        check(2, &[1, 1, 1], &[1, 0, 1], [2.0 / 3.0, 0.4, 0.0, 0.20765960080204782, 0.9385080552796038]);
        check(3, &[0, 1, 2], &[1, 2, 0], [0.0, 0.0, -0.5, 0.0, 0.5614970317550454]);
    }

    #[test]
    fn the_figures_of_classes_are_those_of_scikit_learn() {
        let pairs = [(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (0, 2), (1, 1), (1, 1), (1, 1), (1, 0)];
        let confusion = confusion(4, &[&pairs[..], &[(2, 2), (2, 2), (2, 2), (2, 0), (2, 1), (2, 1), (2, 2)]].concat());
        // sklearn.metrics.precision_recall_fscore_support(g, p, labels=range(4), zero_division=0)
        let scores = confusion.per_class();
        check(scores.iter().map(|score| score.precision), [2.0 / 3.0, 0.5, 0.8, 0.0]);
        check(scores.iter().map(|score| score.recall), [2.0 / 3.0, 0.75, 0.5714285714285714, 0.0]);
        check(scores.iter().map(|score| score.f1), [2.0 / 3.0, 0.6, 2.0 / 3.0, 0.0]);
        assert_eq!(scores.iter().map(|score| score.support).collect::<Vec<_>>(), [6, 4, 7, 0]);
        let rows: Vec<_> = confusion.rows().collect();
        assert_eq!(rows, [[4, 1, 1, 0], [1, 3, 0, 0], [1, 2, 4, 0], [0; 4]]);
        assert_eq!((confusion.count(2, 1), confusion.examples(), confusion.classes()), (2, 17, 4));
    }

    #[test]
    fn many_classes_take_no_more_than_their_examples() {
        let classes = 1 << 20;
        let confusion = confusion(classes, &[(0, 0), (classes - 1, 0), (classes - 1, classes - 1)]);
        check([confusion.accuracy(), confusion.macro_f1()], [2.0 / 3.0; 2]);
        assert_eq!((confusion.examples(), confusion.per_class().len()), (3, classes));
    }

    #[test]
    fn nothing_has_figures_too() {
        for classes in [0, 1, 3] {
            let none = Confusion::new(classes);
            check([none.accuracy(), none.macro_f1(), none.mcc()], [0.0; 3]);
            assert_eq!(none.interval_95(), (0.0, 1.0));
            assert_eq!(none.per_class().len(), classes);
            assert_eq!(none.rows().count(), classes);
        }
    }
}
