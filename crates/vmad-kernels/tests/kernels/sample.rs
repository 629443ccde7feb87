//! Sampling on every backend against `reference`.

use std::ops::RangeInclusive;

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::reference::sample;
use vmad_kernels::{Draw, SampledTokens, cpu_device};

use crate::poison::poison;

/// Up to this share of probability a token may lie beside the one that is drawn in double precision: sums of
/// up to 32,000 weights in f32, in 256 lanes.
const TOLERANCE: f32 = 1e-5;

const GREEDY: Draw = Draw::GREEDY;

/// Around 256 lanes, and as many as LLaMA's.
const VOCABULARIES: [usize; 8] = [1, 2, 5, 255, 256, 257, 1024, 32_000];

fn next(answer: &mut SampledTokens, scores: &[f32], draw: Draw, device: &Device) -> [i32; 2] {
    let logits = TensorData::new(scores.to_vec(), [1, scores.len()]);
    let token = answer.next(Tensor::<2>::from_data(logits, device), draw);
    let data = pollster::block_on(token.into_data_async()).unwrap();
    data.try_to_vec::<i32>().unwrap().try_into().unwrap()
}

/// The ranks of the tokens that rounding may choose: all between those at the ends of the tolerance, of which there are many
/// in the tail of a low temperature.
fn allowed(scores: &[f32], sampled: &[i32], draw: Draw) -> RangeInclusive<usize> {
    let ranks = ranks(scores, sampled, draw.repetition_penalty);
    let by = [-TOLERANCE, 0.0, TOLERANCE];
    let near = by.iter().flat_map(|u| by.iter().map(move |p| (u, p)));
    let near = near.map(|(u, p)| {
        let top_p = if draw.top_p < 1.0 {
            draw.top_p + p
        } else {
            1.0
        };
        let uniform = (draw.uniform + u).clamp(0.0, 1.0 - f32::EPSILON);
        let draw = Draw {
            top_p,
            uniform,
            ..draw
        };
        ranks[sample(scores, sampled, &draw)]
    });
    let near: Vec<usize> = near.collect();
    *near.iter().min().unwrap()..=*near.iter().max().unwrap()
}

/// The rank of each token: by its score after the repetition penalty, then by its id.
fn ranks(scores: &[f32], sampled: &[i32], penalty: f32) -> Vec<usize> {
    let penalised = |id: usize| match (sampled.contains(&(id as i32)), scores[id] > 0.0) {
        (true, true) => scores[id] / penalty,
        (true, false) => scores[id] * penalty,
        (false, _) => scores[id],
    };
    let mut ids: Vec<usize> = (0..scores.len()).collect();
    ids.sort_by(|a, b| penalised(*b).total_cmp(&penalised(*a)));
    let mut ranks = vec![0; ids.len()];
    for (rank, id) in ids.into_iter().enumerate() {
        ranks[id] = rank;
    }
    ranks
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(3);
    for vocab in VOCABULARIES {
        check_vocabulary(vocab, 24, &mut rng, device);
    }
}

/// Random logits, some of them equal, sampled with random parameters, token after token.
pub fn check_vocabulary(vocab: usize, steps: usize, rng: &mut StdRng, device: &Device) {
    poison(device);
    let mut answer = SampledTokens::new(steps, device);
    let mut sampled: Vec<i32> = Vec::new();
    for step in 0..steps {
        let whole = step % 4 == 0;
        let scores: Vec<f32> = (0..vocab)
            .map(|_| rng.random_range(-6.0..6.0))
            .map(|score: f32| if whole { score.round() } else { score })
            .collect();
        let draw = Draw {
            temperature: [0.0, 0.3, 1.0, 5.0][step % 4],
            top_k: [0, 1, 7, 300][rng.random_range(0..4)],
            top_p: [1.0, 0.9, 0.5, 0.01][rng.random_range(0..4)],
            repetition_penalty: [1.0, 1.0, 1.3, 4.0][rng.random_range(0..4)],
            uniform: [rng.random(), 0.0, 0.999_999_9][rng.random_range(0..3)],
        };
        let [token, mark] = next(&mut answer, &scores, draw, device);
        let allowed = allowed(&scores, &sampled, draw);
        let what = format!("{vocab} tokens, {draw:?}, step {step}");
        assert_eq!(mark, 0, "{what}");
        let id = usize::try_from(token).unwrap();
        let rank = ranks(&scores, &sampled, draw.repetition_penalty)[id];
        assert!(
            allowed.contains(&rank),
            "{what}: {token} of rank {rank}, not of {allowed:?}"
        );
        sampled.push(token);
    }
}

/// A logit that is not finite sets the flag, and sampled tokens can be taken back.
fn check_marks_and_truncation(device: &Device) {
    let mut answer = SampledTokens::new(2, device);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut scores = vec![0.0; 300];
        scores[290] = bad;
        let [token, mark] = next(&mut answer, &scores, GREEDY, device);
        assert!((0..300).contains(&token));
        assert_eq!(mark, 1, "{bad}");
        answer.truncate(0);
    }
    let penalised = Draw {
        repetition_penalty: 2.0,
        ..GREEDY
    };
    let scores = [2.0, 1.5, -1.0];
    let sample_next = |answer: &mut SampledTokens| next(answer, &scores, penalised, device)[0];
    assert_eq!(sample_next(&mut answer), 0);
    assert_eq!(
        sample_next(&mut answer),
        1,
        "2.0 was sampled, which halves it"
    );
    answer.truncate(1);
    assert_eq!(
        sample_next(&mut answer),
        1,
        "the second token was taken back"
    );
    answer.truncate(0);
    assert_eq!(sample_next(&mut answer), 0);
}

#[test]
fn sample_flex() {
    check_all(&cpu_device());
    check_marks_and_truncation(&cpu_device());
}

#[cfg(feature = "wgpu")]
#[test]
fn sample_gpu() {
    crate::gpu::on_gpu(|device| {
        check_all(device);
        check_marks_and_truncation(device);
    });
}

#[test]
fn greedy_takes_the_first_of_the_highest() {
    assert_eq!(sample(&[0.5, 2.0, 2.0], &[], &GREEDY), 1);
    assert_eq!(sample(&[], &[], &GREEDY), 0);
}

/// The tokens that are sampled as the uniform number goes through [0, 1).
fn tokens_of(scores: &[f32], draw: Draw) -> Vec<usize> {
    let n: u16 = 4000;
    let drawn = |i: u16| Draw {
        uniform: f32::from(i) / f32::from(n),
        ..draw
    };
    (0..n).map(|i| sample(scores, &[], &drawn(i))).collect()
}

#[test]
fn top_k_and_top_p_cut_the_tail() {
    let scores = [3.0, 2.9, 0.0, -1.0];
    let all = Draw {
        temperature: 1.0,
        ..GREEDY
    };
    for (draw, allowed) in [
        (Draw { top_k: 1, ..all }, &[0][..]),
        (Draw { top_k: 2, ..all }, &[0, 1]),
        (Draw { top_p: 0.4, ..all }, &[0]),
        (Draw { top_p: 0.9, ..all }, &[0, 1]),
        (
            Draw {
                temperature: 0.1,
                ..all
            },
            &[0, 1],
        ),
        (all, &[0, 1, 2, 3]),
    ] {
        let found = tokens_of(&scores, draw);
        for id in 0..4 {
            assert_eq!(found.contains(&id), allowed.contains(&id), "{id} {draw:?}");
        }
    }
}

#[test]
fn shares_follow_the_probabilities() {
    let draw = Draw {
        temperature: 2.0,
        ..GREEDY
    };
    // At temperature 2 these are 0.75 and 0.25.
    let found = tokens_of(&[2.0 * 3f32.ln(), 0.0], draw);
    let share = found.iter().filter(|id| **id == 0).count() as f64 / found.len() as f64;
    assert!((share - 0.75).abs() < 0.001, "{share}");
}

#[test]
fn repetition_is_penalised_on_both_sides_of_zero() {
    let draw = Draw {
        repetition_penalty: 2.0,
        ..GREEDY
    };
    assert_eq!(sample(&[2.0, 1.5], &[0, 0], &draw), 1);
    assert_eq!(sample(&[-1.0, -1.5], &[0], &draw), 1);
    assert_eq!(sample(&[-1.0, -3.0], &[0, 9, -4], &draw), 0);
}
