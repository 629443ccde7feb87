//! The language model over a batch of dialogues, with teacher forcing.

use burn::tensor::{Int, Tensor, TensorData};
use vmad_model::VmadConfig;
use vmad_model::llama::{Adapter, KvCache};

use crate::TrainError;
use crate::dialogue::Dialogue;
use crate::tensors::ints;
use crate::train_model::TrainModel;

/// The language model's output for a batch of dialogues.
pub struct LmForward {
    /// `[n · length, d_text]`
    hidden: Tensor<2>,
    /// Rows of `hidden` that predict target tokens.
    rows: Vec<i32>,
    /// The target tokens.
    targets: Vec<i32>,
    /// Dialogues with a mask.
    pub with_mask: Vec<usize>,
    /// Rows of `hidden` that predict their `[SEG]`.
    seg_rows: Vec<i32>,
}

impl LmForward {
    /// Runs the language model. `evidence` is added to the embedding of each dialogue's `[SEG]`.
    ///
    /// # Shapes
    /// - visual: `[n, n_visual, d_text]`
    /// - evidence: `[with_mask, d_text]`
    ///
    /// # Errors
    /// The model's.
    pub fn new(
        train_model: &TrainModel,
        config: &VmadConfig,
        visual: Tensor<3>,
        dialogues: &[Dialogue],
        evidence: Option<&Tensor<2>>,
        dropout: Option<u64>,
    ) -> Result<Self, TrainError> {
        let device = &visual.device();
        let [n, n_visual, d] = visual.dims();
        let before = dialogues[0].sentinel();
        let longest = dialogues
            .iter()
            .map(|dialogue| dialogue.ids.len() - before - 1)
            .max()
            .unwrap_or(0);
        let mut after = Vec::with_capacity(n * longest);
        for dialogue in dialogues {
            let ids = &dialogue.ids[before + 1..];
            after.extend_from_slice(ids);
            after.extend(std::iter::repeat_n(0, longest - ids.len()));
        }
        let before_ids = &dialogues[0].ids[..before];
        let llm = &train_model.model.llm;
        let head = llm.embed(before_ids, device)?;
        let head = head.unsqueeze::<3>().repeat_dim(0, n);
        let tail = llm.embed(&after, device)?.reshape([n, longest, d]);
        let mut x = Tensor::cat(vec![head, visual, tail], 1); // [n, length, d]
        let [_, length, _] = x.dims();
        let segs = dialogues.iter().enumerate();
        let segs = segs.filter_map(|(b, dialogue)| Some((b, dialogue.seg?)));
        let segs: Vec<(usize, usize)> = segs.collect();
        if let Some(evidence) = evidence {
            let m = segs.len();
            let mut places = vec![0.0; n * length * m];
            for (i, (b, seg)) in segs.iter().enumerate() {
                places[(b * length + seg + n_visual - 1) * m + i] = 1.0;
            }
            let places = Tensor::<2>::from_data(TensorData::new(places, [n * length, m]), device);
            x = x + places.matmul(evidence.clone()).reshape([n, length, d]);
        }
        let hidden = forward(train_model, config, x, dropout)?.reshape([n * length, d]);

        // The token at input j stands at position j + n_visual − 1; the position before predicts it.
        let row = |b: usize, j: usize| (b * length + j + n_visual - 2) as i32;
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for (b, dialogue) in dialogues.iter().enumerate() {
            for j in &dialogue.target_indices {
                rows.push(row(b, *j));
                targets.push(dialogue.ids[*j]);
            }
        }
        Ok(Self {
            hidden,
            rows,
            targets,
            seg_rows: segs.iter().map(|(b, seg)| row(*b, *seg)).collect(),
            with_mask: segs.iter().map(|(b, _)| *b).collect(),
        })
    }

    fn select(&self, rows: &[i32]) -> Tensor<2> {
        let rows = ints(rows.to_vec(), &self.hidden.device());
        self.hidden.clone().select(0, rows)
    }

    /// Hidden states that predict target tokens, `[m, d_text]`, and the tokens, `[m]`.
    pub fn next_tokens(&self) -> (Tensor<2>, Tensor<1, Int>) {
        let targets = ints(self.targets.clone(), &self.hidden.device());
        (self.select(&self.rows), targets)
    }

    /// Hidden states that predict `[SEG]`, `[with_mask, d_text]`.
    pub fn seg_states(&self) -> Tensor<2> {
        self.select(&self.seg_rows)
    }
}

/// Hidden states of embedded dialogues, through the LoRA adapter where there is one.
///
/// # Shapes
/// - x, output: `[n, length, d_text]`
fn forward(
    train_model: &TrainModel,
    config: &VmadConfig,
    x: Tensor<3>,
    dropout: Option<u64>,
) -> Result<Tensor<3>, TrainError> {
    let mut cache = KvCache::new(&config.llm);
    let lora = train_model.lora.as_ref();
    let with_dropout = lora
        .zip(dropout)
        .map(|(lora, seed)| lora.with_dropout(seed));
    let adapter = match (&with_dropout, lora) {
        (Some(with_dropout), _) => Some(with_dropout as &dyn Adapter),
        (None, Some(lora)) => Some(lora as &dyn Adapter),
        (None, None) => None,
    };
    let llm = &train_model.model.llm;
    Ok(llm.forward_adapted(x, &mut cache, adapter)?)
}

/// The visual tokens of each dialogue: those of the next photograph where the dialogue is swapped.
pub fn swapped_tokens(visual: Tensor<3>, dialogues: &[Dialogue]) -> Tensor<3> {
    if !dialogues.iter().any(|dialogue| dialogue.swapped) {
        return visual;
    }
    let n = dialogues.len();
    let source =
        |(i, dialogue): (usize, &Dialogue)| match dialogue.swapped && dialogue.seg.is_some() {
            true => ((i + 1) % n) as i32,
            false => i as i32,
        };
    let rows = dialogues.iter().enumerate().map(source).collect();
    let rows = ints(rows, &visual.device());
    visual.select(0, rows)
}
