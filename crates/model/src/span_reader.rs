//! Reading contexts with questions in mind, up to where answers begin and end.

use grulm_kernels::{Compute, autocast, upload};
use tch::{Kind, Tensor};

use crate::{
    Bidirectional, Error, Linear, Noise, Params, SpanScores, Turn,
    places::outside,
    similarity::{Similarity, found, products},
    span_scores::SpanPointers,
};

/// Sizes of a [`SpanReader`].
#[derive(Debug, Clone, PartialEq)]
pub struct SpanReaderSizes {
    /// Widths of what it reads of each token: the embedding, and the layers above it.
    pub layers: Vec<i64>,
    /// Units of each direction of its GRU layers.
    pub hidden: i64,
    /// Numbers that are known of each token beside that.
    pub token_features: i64,
    /// Numbers that are known of each token of a context with regard to a question.
    pub match_features: i64,
}

/// Texts side by side, as a language model reads them.
#[derive(Debug)]
pub struct LayeredTexts {
    /// The embedding `[T, B, E]`, and the outputs of each layer `[T, B, H_l]`, in reading order.
    pub layers: Vec<Tensor>,
    /// What else is known of each token, `[T, B, F]`.
    pub features: Tensor,
    /// Tokens of each text, at least 2: its borders.
    pub lengths: Vec<i64>,
}

impl LayeredTexts {
    /// Places behind the end of each text, bool `[B, T]`.
    fn outside(&self) -> Result<Tensor, Error> {
        outside(&self.lengths, self.features.size3()?.0, self.features.device())
    }
}

/// Which question is asked about which context.
#[derive(Debug)]
pub struct QuestionRows {
    /// The context of each row, as its place in the batch of contexts.
    pub contexts: Vec<i64>,
    /// The question of each row.
    pub questions: Vec<i64>,
    /// What is known of each token of the context with regard to the question, `[T, R, F]`.
    pub features: Tensor,
}

/// Reads questions and contexts over the layers of a language model, and points at answers. Contexts and questions are read by
/// themselves first; a context is read once, however many questions are asked about it. Then each context
///
/// - finds the questions' words in itself, by embedding, as in DrQA (Chen et al., arXiv 1704.00051) and `FastQA` (Weissenborn et
///   al., arXiv 1703.04816), and with each what the question says at its place; and by what they mean there (Seo et al., arXiv
///   1611.01603; Huang et al., arXiv 1711.07341),
/// - is read again with what was found,
/// - is matched with itself (Wang et al., R-Net, 2017; the residual form of Clark and Gardner, arXiv 1710.10723), and read a last
///   time, for the pointers.
#[derive(Debug)]
pub struct SpanReader {
    lexical: Linear,
    /// How much it counts that two words are alike, `[1]`.
    sharpness: Tensor,
    mix: Linear,
    contextual: Bidirectional,
    similarity: Similarity,
    question: Linear,
    context_part: Linear,
    question_part: Linear,
    fuse: Bidirectional,
    self_similarity: Similarity,
    self_part: Linear,
    refine: Bidirectional,
    pointers: SpanPointers,
    dropout: f64,
}

/// Texts side by side, read by themselves.
#[derive(Debug)]
struct Texts {
    /// What stands for the words alone, `[T, B, H]`.
    lexical: Tensor,
    /// What the language model says of them, read once more from both ends, `[T, B, 2H]`.
    contextual: Tensor,
    /// What is compared of it, `[T, B, H]`.
    keys: Tensor,
}

/// What the mean product of two words' units is multiplied by at first. Untrained, that of a word with itself is about 0.7 and that
/// of two words 0.2, less apart where a model knows few words: the same one gets nearly all of a softmax's weight. By their sum,
/// which grows with the width, a word that is not there would be found all the same, in some other one.
const ALIKE: f64 = 30.0;

/// Added to the variance where layers are normalised.
const EPSILON: f64 = 1e-5;

impl SpanReader {
    /// Adds the weights `{prefix}.lexical.weight`, ... of layer group `group`. In training, `dropout` drops units before each
    /// layer.
    ///
    /// # Errors
    /// When there is no memory for them, or libtorch refuses to lay them out for a GPU.
    pub fn new(
        params: &mut Params,
        prefix: &str,
        sizes: &SpanReaderSizes,
        dropout: f64,
        group: usize,
    ) -> Result<Self, Error> {
        let SpanReaderSizes { layers, hidden, token_features, match_features } = sizes;
        let (h, both) = (*hidden, 2 * hidden);
        let embedding = layers.first().copied().unwrap_or_default();
        let name = |part: &str| format!("{prefix}.{part}");
        // One more, which the reader finds out itself.
        let pair = 2 * h + 3 * both + match_features + 1;
        Ok(Self {
            lexical: Linear::new(params, &name("lexical"), (embedding, h), group)?,
            sharpness: params.add_ones(name("sharpness"), &[1], group)?,
            mix: Linear::new(params, &name("mix"), (layers.iter().sum(), both), group)?,
            contextual: Bidirectional::new(params, &name("contextual"), (both + token_features, h), group)?,
            similarity: Similarity::new(params, &name("similarity"), (both, h), group)?,
            question: Linear::new(params, &name("question"), (both, 1), group)?,
            context_part: Linear::new(params, &name("context_part"), (h + 2 * both, both), group)?,
            question_part: Linear::new(params, &name("question_part"), (pair, both), group)?,
            fuse: Bidirectional::new(params, &name("fuse"), (both, h), group)?,
            self_similarity: Similarity::new(params, &name("self_similarity"), (both, h), group)?,
            self_part: Linear::new(params, &name("self_part"), (3 * both, both), group)?,
            refine: Bidirectional::new(params, &name("refine"), (both, h), group)?,
            pointers: SpanPointers::new(params, &name("pointers"), (both, h), group)?,
            dropout,
        })
    }

    /// Where the answers may be. With `noise`, units are dropped.
    ///
    /// # Errors
    /// When the shapes do not fit, or memory runs out.
    pub fn read(
        &self,
        contexts: &LayeredTexts,
        questions: &LayeredTexts,
        rows: &QuestionRows,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<SpanScores, Error> {
        let device = rows.features.device();
        let read = || self.states(contexts, questions, rows, noise, compute);
        let (states, summaries) = autocast(compute.precision, device, read)??;
        let lengths: Vec<i64> = rows.contexts.iter().map(|&context| contexts.lengths[context as usize]).collect();
        // In f32: scores that differ little are rounded to the same one in bf16.
        self.pointers.scores(&states, &summaries, &lengths)
    }

    /// Contexts as they are read for a question, `[T, R, 2H]`, and what the questions say, `[R, 2H]`; f32.
    fn states(
        &self,
        contexts: &LayeredTexts,
        questions: &LayeredTexts,
        rows: &QuestionRows,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Tensor, Tensor), Error> {
        let noise_of = |part: &str| noise.map(|noise| Noise { site: noise.site.named(part), ..*noise });
        let device = rows.features.device();
        let (context_of, question_of) = (upload(&rows.contexts, device)?, upload(&rows.questions, device)?);

        let (asked, _) = self.texts(questions, noise_of("questions").as_ref(), compute)?;
        let behind = questions.outside()?;
        let summaries = self.summary(&asked.contextual, &behind)?.f_index_select(0, &question_of)?;
        let (read, mixed) = self.texts(contexts, noise_of("contexts").as_ref(), compute)?;
        let own = Tensor::f_cat(&[&read.lexical, &mixed, &read.contextual], 2)?;
        let own = self.context_part.forward(&own)?.f_index_select(1, &context_of)?;

        let no_question = behind.f_index_select(0, &question_of)?;
        let no_context = contexts.outside()?.f_index_select(0, &context_of)?;
        let (read, asked) = (read.select(&context_of)?, asked.select(&question_of)?);
        let asked = self.asked(&read, &asked, &rows.features, (&no_context, &no_question))?;
        let fused = self.question_part.forward(&asked)?.f_add(&own)?.f_relu()?;

        let lengths: Vec<i64> = rows.contexts.iter().map(|&context| contexts.lengths[context as usize]).collect();
        let turn = Turn::new(&lengths, fused.size3()?.0, device)?;
        let noise = noise_of("rows");
        let drop = |part: &str, x: Tensor| Noise::locked(noise.as_ref(), part, |_| self.dropout, x);
        let fused = self.fuse.forward(&drop("fuse", fused)?, &turn, compute)?;
        let itself = self.itself(&fused, &no_context)?;
        let refined = self.refine.forward(&drop("refine", itself)?, &turn, compute)?;
        Ok((drop("pointers", refined)?.f_to_kind(Kind::Float)?, summaries.f_to_kind(Kind::Float)?))
    }

    /// What contexts find of their questions, and what is known of them with regard to these, side by side: `[T, R, ..]`.
    fn asked(
        &self,
        context: &Texts,
        question: &Texts,
        features: &Tensor,
        (no_context, no_question): (&Tensor, &Tensor),
    ) -> Result<Tensor, Error> {
        let outside = no_question.f_unsqueeze(1)?;
        let scale = self.sharpness.f_mul_scalar(ALIKE / question.lexical.size3()?.2 as f64)?;
        let by_words = products(&context.lexical, &question.lexical)?.f_mul(&scale)?;
        let words = found(&by_words, &outside, &question.lexical)?;
        // What is asked can lie in the place of a word alone: "what is north of it", or "what is it north of".
        let roles = found(&by_words, &outside, &question.contextual)?;
        let by_meaning = self.similarity.scores(&context.keys, &question.keys)?;
        let meaning = found(&by_meaning, &outside, &question.contextual)?;
        let sought = sought(&by_words, no_context, no_question)?;
        let same = [words.f_mul(&context.lexical)?, meaning.f_mul(&context.contextual)?];
        Ok(Tensor::f_cat(&[&same[0], &words, &roles, &same[1], &meaning, features, &sought], 2)?)
    }

    /// Texts read by themselves, and what the language model says of them, `[T, B, 2H]`.
    fn texts(
        &self,
        texts: &LayeredTexts,
        noise: Option<&Noise<'_>>,
        compute: Compute,
    ) -> Result<(Texts, Tensor), Error> {
        let drop = |part: &str, x: Tensor| Noise::locked(noise, part, |_| self.dropout, x);
        // Alike in size, whichever layer they come from.
        let normalise = |layer: &Tensor| -> Result<Tensor, Error> {
            let layer = layer.f_to_kind(Kind::Float)?;
            Ok(layer.f_layer_norm([layer.size3()?.2], None::<&Tensor>, None::<&Tensor>, EPSILON, false)?)
        };
        let layers = texts.layers.iter().map(normalise).collect::<Result<Vec<_>, _>>()?;
        let embedded = layers.first().ok_or_else(|| Error::Unsupported("texts without an embedding".into()))?;
        let lexical = self.lexical.forward(&drop("lexical", embedded.shallow_clone())?)?.f_relu()?;
        let mixed = self.mix.forward(&drop("layers", Tensor::f_cat(&layers, 2)?)?)?.f_to_kind(Kind::Float)?;
        let input = Tensor::f_cat(&[&drop("mixed", mixed.shallow_clone())?, &texts.features], 2)?;
        let turn = Turn::new(&texts.lengths, input.size3()?.0, input.device())?;
        let contextual = drop("contextual", self.contextual.forward(&input, &turn, compute)?)?;
        let keys = self.similarity.keys(&contextual)?;
        Ok((Texts { lexical: lexical.f_to_kind(Kind::Float)?, contextual, keys }, mixed))
    }

    /// What a question `[T, B, 2H]` says as a whole, `[B, 2H]`; `outside` is bool `[B, T]`.
    fn summary(&self, question: &Tensor, outside: &Tensor) -> Result<Tensor, Error> {
        let scores = self.question.forward(question)?.f_to_kind(Kind::Float)?.f_permute([1, 2, 0])?;
        Ok(found(&scores, &outside.f_unsqueeze(1)?, question)?.f_squeeze_dim(0)?)
    }

    /// Contexts `[T, R, 2H]` with what they find in themselves added.
    fn itself(&self, x: &Tensor, outside: &Tensor) -> Result<Tensor, Error> {
        let (time, _, _) = x.size3()?;
        let keys = self.self_similarity.keys(x)?;
        // A token is most like itself, which says nothing.
        let same = Tensor::f_eye(time, (Kind::Bool, x.device()))?;
        let outside = outside.f_unsqueeze(1)?.f_logical_or(&same)?;
        let found = found(&self.self_similarity.scores(&keys, &keys)?, &outside, x)?;
        let all = Tensor::f_cat(&[x, &found, &x.f_mul(&found)?], 2)?;
        Ok(self.self_part.forward(&all)?.f_relu()?.f_to_kind(Kind::Float)?.f_add(x)?)
    }
}

impl Texts {
    /// Those of the texts at these places, int64 `[R]`, which may come more than once.
    fn select(&self, texts: &Tensor) -> Result<Self, Error> {
        let select = |x: &Tensor| x.f_index_select(1, texts);
        Ok(Self { lexical: select(&self.lexical)?, contextual: select(&self.contextual)?, keys: select(&self.keys)? })
    }
}

/// How much each token of a context is sought by the words of the question, each of which has one unit to give (the weighted
/// match of `FastQA`): what is found once only gets more than what is everywhere. From scores `[R, T, S]`, `[T, R, 1]`.
fn sought(scores: &Tensor, no_context: &Tensor, no_question: &Tensor) -> Result<Tensor, Error> {
    let given = scores.f_masked_fill(&no_context.f_unsqueeze(2)?, f64::NEG_INFINITY)?.f_softmax(1, Kind::Float)?;
    let given = given.f_masked_fill(&no_question.f_unsqueeze(1)?, 0.0)?;
    Ok(given.f_sum_dim_intlist([2i64].as_slice(), true, Kind::Float)?.f_transpose(0, 1)?)
}
