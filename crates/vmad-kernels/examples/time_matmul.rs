//! Times the quantised products against burn's f32 product:
//! `cargo run --release -p vmad-kernels --example time_matmul [--features wgpu]`.
//! Results are read; the fastest of several runs is printed, which other work on the machine
//! disturbs least.

use std::error::Error;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use vmad_kernels::{QuantWeight, cpu_device, matmul_quant};
use vmad_quant::{quantize_q4, quantize_q8};

/// Tokens, columns, rows.
const SHAPES: &[(usize, usize, usize)] = &[
    (1, 512, 512),
    (2, 512, 512),
    (3, 512, 512),
    (4, 512, 512),
    (8, 512, 512),
    (64, 512, 512),
    (1, 1024, 1024),
    (256, 1024, 1024),
    (1, 4096, 4096),
];
const RUNS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    time(&cpu_device(), "cpu")?;
    #[cfg(feature = "wgpu")]
    match pollster::block_on(vmad_kernels::gpu_device()) {
        Ok((device, info)) => time(&device, &info.name)?,
        Err(error) => println!("{error}"),
    }
    Ok(())
}

fn time(device: &Device, name: &str) -> Result<(), Box<dyn Error>> {
    println!("{name}: ms      f32       q8       q4");
    for &(tokens, cols, rows) in SHAPES {
        let x = Tensor::<2>::random([tokens, cols], Distribution::Uniform(-1.0, 1.0), device);
        let values: Vec<f32> = (0..rows * cols)
            .map(|i| (i * 7919 % 2003) as f32 / 1001.0 - 1.0)
            .collect();
        let q8 = quantize_q8(&values, rows, cols)?;
        let q8 = QuantWeight::from_q8(rows, cols, q8.values(), q8.scales(), device)?;
        let q4 = quantize_q4(&values, rows, cols)?;
        let q4 = QuantWeight::from_q4(rows, cols, q4.words(), q4.scales(), device)?;
        let w = Tensor::<2>::from_data(TensorData::new(values, [rows, cols]), device).transpose();
        println!(
            "{tokens:4}×{cols}×{rows} {:8.3} {:8.3} {:8.3}",
            fastest_ms(|| x.clone().matmul(w.clone()))?,
            fastest_ms(|| matmul_quant(x.clone(), &q8))?,
            fastest_ms(|| matmul_quant(x.clone(), &q4))?,
        );
    }
    Ok(())
}

fn fastest_ms(product: impl Fn() -> Tensor<2>) -> Result<f64, Box<dyn Error>> {
    let mut fastest = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        let data = pollster::block_on(product().into_data_async())?;
        // Bytes arrive lazily: without looking at them nothing is measured.
        let values = data.try_to_vec::<f32>()?;
        std::hint::black_box(values);
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(fastest)
}
