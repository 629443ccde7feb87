//! Attention on every backend against `reference::attention`.

use burn::tensor::{Device, Tensor, TensorData, s};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::reference::{self, AttentionSizes};
use vmad_kernels::{Mask, attention, cpu_device, relative_positions};

use crate::poison::poison;

/// Scores are sums of up to 128 products of values below one, over √128: off by less than
/// 128 · 2⁻²⁴ / 11; their exponentials and the sums over keys add about as much again. Drivers may
/// compute `exp` within 3 + 2·|x| units in the last place, which for scores of up to 4 is 7e-7.
const TOLERANCE: f32 = 1e-5;

/// Batch, heads, heads of keys, queries, keys, widths: around tiles of 32, parts of 256 keys, chunks of 32
/// columns, the switch at four queries.
const SIZES: &[[usize; 7]] = &[
    [1, 1, 1, 1, 1, 1, 1],
    [1, 2, 1, 1, 7, 32, 32],
    [2, 4, 2, 4, 33, 16, 20],
    [1, 4, 4, 1, 256, 32, 32],
    [1, 4, 2, 2, 257, 64, 64],
    [1, 2, 2, 1, 700, 128, 128],
    [1, 2, 1, 5, 5, 32, 32],
    [3, 2, 2, 32, 32, 33, 31],
    [1, 4, 2, 33, 65, 64, 96],
    [2, 3, 3, 70, 100, 80, 80],
    [1, 1, 1, 129, 129, 128, 128],
];

struct Case {
    sizes: AttentionSizes,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    rng: StdRng,
}

impl Case {
    fn new([batch, n_heads, n_kv_heads, n_q, n_k, d_head, d_value]: [usize; 7]) -> Self {
        let sizes = AttentionSizes {
            batch,
            n_heads,
            n_kv_heads,
            n_q,
            n_k,
            d_head,
            d_value,
        };
        let mut rng = StdRng::seed_from_u64((n_q * 1000 + n_k) as u64);
        let mut random = |n: usize| numbers(n, 2.0, &mut rng);
        let q = random(batch * n_heads * n_q * d_head);
        let k = random(batch * n_kv_heads * n_k * d_head);
        let v = random(batch * n_kv_heads * n_k * d_value);
        Self {
            sizes,
            q,
            k,
            v,
            rng,
        }
    }

    fn tensors(&self, device: &Device) -> [Tensor<4>; 3] {
        let s = &self.sizes;
        [
            tensor(&self.q, [s.batch, s.n_heads, s.n_q, s.d_head], device),
            tensor(&self.k, [s.batch, s.n_kv_heads, s.n_k, s.d_head], device),
            tensor(&self.v, [s.batch, s.n_kv_heads, s.n_k, s.d_value], device),
        ]
    }

    fn check(&self, mask: Mask, device: &Device, bias: impl Fn([usize; 4]) -> Option<f64> + Copy) {
        let what = format!("{:?} {mask:?}", self.sizes);
        let inputs = [&self.q[..], &self.k, &self.v];
        let expected = reference::attention(inputs, self.sizes, &bias);
        poison(device);
        let [q, k, v] = self.tensors(device);
        let made = attention(q.clone(), k.clone(), v.clone(), mask.clone());
        compare(&what, made, &expected);
        // The same through views of projections that hold tokens before heads.
        let views = [q, k, v].map(|x| x.swap_dims(1, 2).mul_scalar(1.0).swap_dims(1, 2));
        let [q, k, v] = views;
        let longer = Tensor::cat(vec![k.clone().slice(s![.., .., 0..1, ..]), k], 2);
        let k = longer.slice(s![.., .., 1.., ..]);
        compare(
            &format!("{what} as views"),
            attention(q, k, v, mask),
            &expected,
        );
    }
}

fn numbers(n: usize, bound: f32, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-bound..bound)).collect()
}

fn tensor(values: &[f32], shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn compare(what: &str, actual: Tensor<4>, expected: &[f32]) {
    crate::compare::compare(what, actual, expected, |_| TOLERANCE);
}

fn check_all(device: &Device) {
    for sizes in POSITIONS {
        check_positions(*sizes, device);
    }
    for sizes in SIZES {
        check_masks(*sizes, device);
    }
}

/// Attention of one set of sizes with every mask.
pub fn check_masks(sizes: [usize; 7], device: &Device) {
    let mut case = Case::new(sizes);
    let AttentionSizes {
        batch,
        n_heads,
        n_q,
        n_k,
        ..
    } = case.sizes;
    case.check(Mask::None, device, |_| Some(0.0));
    if n_k >= n_q {
        let start = n_k - n_q;
        case.check(Mask::Causal { start }, device, |[.., i, j]| {
            (j <= start + i).then_some(0.0)
        });
    }
    let bias = numbers(n_heads * n_q * n_k, 3.0, &mut case.rng);
    let mask = Mask::Bias(tensor(&bias, [1, n_heads, n_q, n_k], device));
    case.check(mask, device, |[_, head, i, j]| {
        Some(f64::from(bias[(head * n_q + i) * n_k + j]))
    });
    if case.sizes.n_kv_heads == n_heads {
        check_relative(case, batch * n_heads * n_q, device);
    }
}

/// Over as many keys as make a square.
fn check_relative(mut case: Case, n_rows: usize, device: &Device) {
    let side = case.sizes.n_k.isqrt();
    case.sizes.n_k = side * side;
    let AttentionSizes {
        batch,
        n_heads,
        n_q,
        ..
    } = case.sizes;
    let [rows, columns] = [0, 1].map(|_| numbers(n_rows * side, 2.0, &mut case.rng));
    let both = rows.chunks(side).zip(columns.chunks(side));
    let both: Vec<f32> = both.flat_map(|(r, c)| [r, c].concat()).collect();
    let mask = Mask::Relative(tensor(&both, [batch, n_heads, n_q, 2 * side], device));
    let (n_kv, k) = (batch * n_heads, case.sizes.n_k);
    case.k.truncate(n_kv * k * case.sizes.d_head);
    case.v.truncate(n_kv * k * case.sizes.d_value);
    case.check(mask, device, |[b, head, i, j]| {
        let row = ((b * n_heads + head) * n_q + i) * side;
        Some(f64::from(rows[row + j / side]) + f64::from(columns[row + j % side]))
    });
}

/// Batch, heads, side of the grid, width.
const POSITIONS: &[[usize; 4]] = &[[1, 1, 1, 1], [2, 3, 3, 5], [1, 4, 8, 32], [3, 2, 14, 80]];

pub fn check_positions([batch, n_heads, side, d]: [usize; 4], device: &Device) {
    let mut rng = StdRng::seed_from_u64(23);
    {
        let n = side * side;
        let q = numbers(batch * n_heads * n * d, 1.0, &mut rng);
        let tables = [0, 1].map(|_| numbers((2 * side - 1) * d, 1.0, &mut rng));
        let expected: Vec<f32> = q
            .chunks(n * d)
            .flat_map(|q| reference::relative_positions(q, tables.each_ref().map(|t| &t[..]), side))
            .collect();
        let [rows, columns] = tables.each_ref().map(|table| {
            let shape = [2 * side - 1, d];
            Tensor::<2>::from_data(TensorData::new(table.clone(), shape), device)
        });
        let q = tensor(&q, [batch, n_heads, n, d], device);
        poison(device);
        let made = relative_positions(q.clone(), rows.clone(), columns.clone());
        compare(&format!("{side}² of {d}"), made, &expected);
        // The same through a view of a projection that holds tokens before heads.
        let view = q.swap_dims(1, 2).mul_scalar(1.0).swap_dims(1, 2);
        compare(
            &format!("{side}² of {d}, a view"),
            relative_positions(view, rows, columns),
            &expected,
        );
    }
}

#[test]
fn attention_flex() {
    check_all(&cpu_device());
}

/// One of burn's operations after the other, as they are trained through.
#[cfg(feature = "autodiff")]
#[test]
fn attention_autodiff() {
    check_all(&cpu_device().autodiff());
}

#[cfg(feature = "wgpu")]
#[test]
fn attention_gpu() {
    crate::gpu::on_gpu(check_all);
}
