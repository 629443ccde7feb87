//! The cache of keys and values on every backend against `reference`.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::reference::{self, AttentionSizes};
use vmad_kernels::{KvLayer, Rotary, cpu_device};

use crate::poison::poison;

/// As attention's; the cosines and sines are rounded to f32 once more.
const TOLERANCE: f32 = 1e-5;

const THETA: f64 = 10_000.0;

#[derive(Clone, Copy)]
struct Sizes {
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
}

/// Tokens of one sequence before the rotary embedding: queries, keys, values.
#[derive(Clone, Default)]
struct Tokens([Vec<f32>; 3]);

impl Tokens {
    fn random(n: usize, sizes: Sizes, rng: &mut StdRng) -> Self {
        let heads = [sizes.n_heads, sizes.n_kv_heads, sizes.n_kv_heads];
        let numbers = |n_heads: usize| {
            let n = n * n_heads * sizes.d_head;
            (0..n).map(|_| rng.random_range(-1.5..1.5)).collect()
        };
        Self(heads.map(numbers))
    }

    fn extend(&mut self, other: &Self) {
        for (all, new) in self.0.iter_mut().zip(&other.0) {
            all.extend(new);
        }
    }

    fn len(&self, sizes: Sizes) -> usize {
        self.0[0].len() / sizes.n_heads / sizes.d_head
    }

    fn truncate(&mut self, n: usize, sizes: Sizes) {
        let heads = [sizes.n_heads, sizes.n_kv_heads, sizes.n_kv_heads];
        for (all, n_heads) in self.0.iter_mut().zip(heads) {
            all.truncate(n * n_heads * sizes.d_head);
        }
    }

    fn tensors(&self, sizes: Sizes, device: &Device) -> [Tensor<4>; 3] {
        let n = self.len(sizes);
        let heads = [sizes.n_heads, sizes.n_kv_heads, sizes.n_kv_heads];
        std::array::from_fn(|i| {
            let data = TensorData::new(self.0[i].clone(), [1, n, heads[i], sizes.d_head]);
            Tensor::from_data(data, device)
        })
    }

    /// What the last `n` of these tokens see, `[n, n_heads · d_head]`.
    fn attended(&self, n: usize, sizes: Sizes) -> Vec<f32> {
        let Sizes {
            n_heads,
            n_kv_heads,
            d_head,
        } = sizes;
        let all = self.len(sizes);
        let turned = |which: usize, n_heads: usize, first: usize| {
            // Heads before tokens.
            let rows = (0..n_heads).flat_map(|head| (first..all).map(move |at| (head, at)));
            rows.flat_map(|(head, at)| {
                let row = &self.0[which][(at * n_heads + head) * d_head..][..d_head];
                match which {
                    2 => row.to_vec(),
                    _ => reference::rope(row, at, THETA),
                }
            })
            .collect::<Vec<f32>>()
        };
        let (q, k, v) = (
            turned(0, n_heads, all - n),
            turned(1, n_kv_heads, 0),
            turned(2, n_kv_heads, 0),
        );
        let attention = AttentionSizes {
            batch: 1,
            n_heads,
            n_kv_heads,
            n_q: n,
            n_k: all,
            d_head,
            d_value: d_head,
        };
        let out = reference::attention([&q, &k, &v], attention, &|[.., i, j]| {
            (j <= all - n + i).then_some(0.0)
        });
        // Tokens before heads.
        let rows = (0..n).flat_map(|i| (0..n_heads).map(move |head| head * n + i));
        rows.flat_map(|row| out[row * d_head..][..d_head].to_vec())
            .collect()
    }
}

pub struct Sequence {
    sizes: Sizes,
    layer: KvLayer,
    rotary: Rotary,
    tokens: Tokens,
}

impl Sequence {
    /// An empty one of `n_heads`, `n_kv_heads`, `d_head`.
    pub fn new((n_heads, n_kv_heads, d_head): (usize, usize, usize)) -> Self {
        Self {
            sizes: Sizes {
                n_heads,
                n_kv_heads,
                d_head,
            },
            layer: KvLayer::default(),
            rotary: Rotary::new(THETA, d_head),
            tokens: Tokens::default(),
        }
    }

    /// Appends `n` random tokens and checks what they attend to.
    pub fn push(&mut self, n: usize, rng: &mut StdRng, device: &Device) {
        let new = Tokens::random(n, self.sizes, rng);
        let start = self.tokens.len(self.sizes);
        poison(device);
        let tensors = new.tensors(self.sizes, device);
        let made = self.layer.attend(tensors, &mut self.rotary, start);
        self.tokens.extend(&new);
        let expected = self.tokens.attended(n, self.sizes);
        let data = pollster::block_on(made.into_data_async()).unwrap();
        let made: Vec<f32> = data.try_to_vec().unwrap();
        assert_eq!(made.len(), expected.len());
        for (i, (made, expected)) in made.iter().zip(&expected).enumerate() {
            let close = (made - expected).abs() <= TOLERANCE;
            assert!(
                close,
                "{n} after {start}: element {i} is {made}, should be {expected}"
            );
        }
    }

    pub fn truncate(&mut self, n: usize) {
        self.layer.truncate(n);
        self.tokens.truncate(n, self.sizes);
    }

    fn copy(&self) -> Self {
        Self {
            sizes: self.sizes,
            layer: self.layer.clone(),
            rotary: self.rotary.clone(),
            tokens: self.tokens.clone(),
        }
    }
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(11);
    for sizes in [(4, 2, 32), (2, 2, 128), (3, 1, 10)] {
        let mut sequence = Sequence::new(sizes);
        // A prompt, decoding, a second turn that needs more room, decoding at its border.
        for n in [40, 1, 1, 213, 1, 1, 2, 60] {
            sequence.push(n, &mut rng, device);
        }
        // Two continuations of one conversation do not share what they append.
        let mut other = sequence.copy();
        sequence.push(1, &mut rng, device);
        other.push(1, &mut rng, device);
        sequence.push(1, &mut rng, device);
        other.push(1, &mut rng, device);
        // An answer is taken back.
        sequence.truncate(41);
        sequence.push(3, &mut rng, device);
        sequence.truncate(0);
        sequence.push(2, &mut rng, device);
        assert!(sequence.layer.bytes() >= 2 * 2 * sizes.1 * sizes.2 * 4);
    }
}

#[test]
fn kv_flex() {
    check_all(&cpu_device());
}

#[cfg(feature = "wgpu")]
#[test]
fn kv_gpu() {
    crate::gpu::on_gpu(check_all);
}
