//! The language model's part of a step.

use burn::tensor::{Int, Tensor, TensorData};
use vmad_model::VmadConfig;
use vmad_model::llama::{Adapter, KvCache};

use crate::TrainError;
use crate::conversation::Dialogue;
use crate::step::{Trainee, ints};

impl Trainee {
    /// Teacher-forces the dialogues; `evidence` goes to the `[SEG]` of each that has one,
    /// `[marked, d_text]`.
    pub(crate) fn speak(
        &self,
        config: &VmadConfig,
        visual: Tensor<3>,
        dialogues: &[Dialogue],
        evidence: Option<&Tensor<2>>,
        dropout: Option<u64>,
    ) -> Result<Said, TrainError> {
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
        let llm = &self.model.llm;
        let head = llm.embed(before_ids, device)?;
        let head = head.unsqueeze::<3>().repeat_dim(0, n);
        let tail = llm.embed(&after, device)?.reshape([n, longest, d]);
        let mut x = Tensor::cat(vec![head, visual, tail], 1);
        let [_, length, _] = x.dims();
        let marks = dialogues.iter().enumerate();
        let marks = marks.filter_map(|(b, dialogue)| Some((b, dialogue.seg?)));
        let marks: Vec<(usize, usize)> = marks.collect();
        if let Some(evidence) = evidence {
            let m = marks.len();
            let mut places = vec![0.0; n * length * m];
            for (i, (b, seg)) in marks.iter().enumerate() {
                places[(b * length + seg + n_visual - 1) * m + i] = 1.0;
            }
            let places = Tensor::<2>::from_data(TensorData::new(places, [n * length, m]), device);
            x = x + places.matmul(evidence.clone()).reshape([n, length, d]);
        }
        let mut cache = KvCache::new(&config.llm);
        let dropping = match (&self.lora, dropout) {
            (Some(lora), Some(seed)) => Some(lora.with_dropout(seed)),
            _ => None,
        };
        let adapter = match (&dropping, &self.lora) {
            (Some(dropping), _) => Some(dropping as &dyn Adapter),
            (None, Some(lora)) => Some(lora as &dyn Adapter),
            (None, None) => None,
        };
        let hidden = llm.forward_adapted(x, &mut cache, adapter)?;
        let hidden = hidden.reshape([n * length, d]);

        // A token at input j stands at j + n_visual − 1, and the place before predicts it.
        let row = |b: usize, j: usize| (b * length + j + n_visual - 2) as i32;
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for (b, dialogue) in dialogues.iter().enumerate() {
            for j in &dialogue.spoken {
                rows.push(row(b, *j));
                targets.push(dialogue.ids[*j]);
            }
        }
        Ok(Said {
            hidden,
            rows,
            targets,
            seg_rows: marks.iter().map(|(b, seg)| row(*b, *seg)).collect(),
            marked: marks.iter().map(|(b, _)| *b).collect(),
        })
    }
}

/// The visual tokens that the words come after: where the dialogue says so, the next photograph's.
pub(crate) fn shown(visual: Tensor<3>, dialogues: &[Dialogue]) -> Tensor<3> {
    if !dialogues.iter().any(|dialogue| dialogue.swapped) {
        return visual;
    }
    let n = dialogues.len();
    let of = |(i, dialogue): (usize, &Dialogue)| match dialogue.swapped && dialogue.seg.is_some() {
        true => ((i + 1) % n) as i32,
        false => i as i32,
    };
    let rows = dialogues.iter().enumerate().map(of).collect();
    let rows = ints(rows, &visual.device());
    visual.select(0, rows)
}

/// What the language model made of a batch of dialogues.
pub(crate) struct Said {
    /// `[n · length, d_text]`
    hidden: Tensor<2>,
    /// Which of them predict spoken tokens.
    rows: Vec<i32>,
    /// The spoken tokens.
    targets: Vec<i32>,
    /// Dialogues with a mask.
    pub marked: Vec<usize>,
    /// Which states predict their `[SEG]`.
    seg_rows: Vec<i32>,
}

impl Said {
    fn select(&self, rows: &[i32]) -> Tensor<2> {
        let rows = ints(rows.to_vec(), &self.hidden.device());
        self.hidden.clone().select(0, rows)
    }

    /// States that predict spoken tokens, `[m, d_text]`, and the tokens, `[m]`.
    pub fn words(&self) -> (Tensor<2>, Tensor<1, Int>) {
        let targets = ints(self.targets.clone(), &self.hidden.device());
        (self.select(&self.rows), targets)
    }

    /// `[marked, d_text]`
    pub fn seg_hidden(&self) -> Tensor<2> {
        self.select(&self.seg_rows)
    }
}
