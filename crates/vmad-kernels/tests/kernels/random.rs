//! Every operation on random shapes. The tables of the other files hold the boundaries that are known; these find the
//! ones that are not.

use burn::tensor::Device;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::cpu_device;

use crate::kv::Sequence;
use crate::ops::Kind;
use crate::{attention, dense, norm, ops, product, projector, sample, stem};

/// Shapes of each operation and backend.
const CASES: u64 = 12;

/// The seed of the first case, unless `VMAD_SEED` is set.
const SEED: u64 = 20_261_201;

/// Says how to repeat a case that fails.
struct Case {
    op: &'static str,
    seed: u64,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { op, seed } = self;
            println!("{op} fails with seed {seed}; VMAD_SEED={seed} makes it the first case");
        }
    }
}

/// A number in 1..=most, small ones as likely as large ones, so that boundaries near zero are met, too.
fn size(most: usize, rng: &mut StdRng) -> usize {
    let within = (most as f64).powf(rng.random_range(0.0..=1.0));
    (within as usize).clamp(1, most)
}

fn first_seed() -> u64 {
    let seed = std::env::var("VMAD_SEED").ok();
    seed.map_or(SEED, |seed| seed.parse().unwrap())
}

fn each(op: &'static str, check: impl Fn(&mut StdRng)) {
    for seed in first_seed()..first_seed() + CASES {
        let case = Case { op, seed };
        check(&mut StdRng::seed_from_u64(seed));
        drop(case);
    }
}

fn check_packed(device: &Device) {
    for kind in [Kind::Q8, Kind::Q4] {
        each("matmul_quant and gather_quant", |rng| {
            let shape = (size(200, rng), size(300, rng), size(100, rng));
            ops::check_matmul(kind, shape, rng, device);
            ops::check_gather(kind, shape, rng, device);
        });
    }
    for is_q4 in [false, true] {
        each("linear layers and fused products", |rng| {
            // Matrices of an even number of rows can be stacked, whatever their blocks.
            let shape = [2 * size(100, rng), size(300, rng), size(150, rng)];
            product::check_shape(shape, is_q4, rng, device);
        });
    }
}

fn check_floats(device: &Device) {
    each("matmul", |rng| {
        let sizes = [0, 1, 2].map(|_| size(150, rng));
        dense::check_product(sizes, rng, device);
    });
    each("conv2d", |rng| {
        let (kernel, groups) = (size(5, rng), size(4, rng));
        let (c_in, c_out) = (groups * size(6, rng), groups * size(6, rng));
        let [height, width] = [0, 1].map(|_| kernel + size(30, rng));
        let sizes = [size(3, rng), c_in, c_out, height, width, kernel];
        let options = [size(3, rng), rng.random_range(0..3), groups];
        dense::check_convolution((sizes, options, rng.random()), rng, device);
    });
    each("upsample_2x", |rng| {
        let sizes = [2, 20, 20, 12, 12].map(|most| size(most, rng));
        dense::check_upsampling(sizes, rng, device);
    });
    each("norms", |rng| {
        let sizes = [size(200, rng), size(500, rng)];
        norm::check_norms(sizes, rng, device);
    });
    each("batch_norm and overlapping_cells", |rng| {
        let sizes = [size(300, rng), size(100, rng)];
        stem::check_batch_norm(sizes, rng, device);
        let cells = [size(9, rng), size(9, rng), size(20, rng)];
        stem::check_cells(2 * size(3, rng), cells, device);
    });
}

fn check_attention(device: &Device) {
    each("attention", |rng| {
        let (n_kv_heads, repeats) = (size(3, rng), size(3, rng));
        let sizes = [
            size(2, rng),
            n_kv_heads * repeats,
            n_kv_heads,
            size(60, rng),
            size(300, rng),
            size(128, rng),
            size(128, rng),
        ];
        attention::check_masks(sizes, device);
    });
    each("relative_positions", |rng| {
        let sizes = [size(2, rng), size(3, rng), size(10, rng), size(100, rng)];
        attention::check_positions(sizes, device);
    });
    each("rope_append", |rng| {
        let n_kv_heads = size(3, rng);
        let heads = (n_kv_heads * size(3, rng), n_kv_heads);
        let mut sequence = Sequence::new((heads.0, heads.1, 2 * size(64, rng)));
        for most in [60, 1, 1, 200, 3] {
            let n = size(most, rng);
            sequence.push(n, rng, device);
        }
        sequence.truncate(rng.random_range(0..=2));
        sequence.push(size(20, rng), rng, device);
    });
    each("deformable_attention and region_attention", |rng| {
        let sizes = [2, 80, 4, 4, 40, 12].map(|most| size(most, rng));
        projector::check_deformable((sizes, rng.random_range(0.5..20.0)), rng, device);
        let stride = size(4, rng);
        let regions = [stride * size(4, rng), stride, size(4, rng), size(128, rng)];
        projector::check_regions(regions, rng, device);
    });
    each("sample", |rng| {
        let vocab = size(3000, rng);
        sample::check_vocabulary(vocab, 4, rng, device);
    });
}

#[test]
fn random_shapes_flex() {
    check_packed(&cpu_device());
    check_floats(&cpu_device());
    check_attention(&cpu_device());
}

#[cfg(feature = "wgpu")]
#[test]
fn random_shapes_gpu() {
    crate::gpu::on_gpu(|device| {
        check_packed(device);
        check_floats(device);
        check_attention(device);
    });
}
