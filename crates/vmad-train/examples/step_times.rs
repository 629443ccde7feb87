//! Where the time of a training step goes, part by part.
//!
//! `cargo run --release -p vmad-train -p vmad-cli --example step_times [-- PLAN RUN BATCH]`

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use vmad_model::config::ClipConfig;
use vmad_model::llama::KvCache;
use vmad_model::{RandomWeights, Vmad};
use vmad_train::Plan;

/// Length of a dialogue without its visual tokens.
const N_WORDS: usize = 110;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args
        .next()
        .unwrap_or_else(|| "models/tiny/runs.toml".to_owned());
    let run = args.next().unwrap_or_else(|| "tiny".to_owned());
    let n: usize = args.next().map_or(Ok(8), |n| n.parse())?;
    let config = Plan::read(Path::new(&path))?
        .run(&run)?
        .config
        .model
        .clone();
    let device = Device::flex().autodiff();
    let (model, _) = Vmad::new(&config, &mut RandomWeights::new(&device, 1))?;
    let random =
        |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let (clip, sam) = (&config.clip, &config.sam);
    let clip_pixels = random([n, 3, clip.image_size, clip.image_size]);
    let sam_pixels = random([n, 3, sam.image_size, sam.image_size]);
    let clip_prior = clip.similarity_prompt.then(|| {
        random([
            n,
            ClipConfig::PRIOR_CHANNELS,
            clip.prior_side(),
            clip.prior_side(),
        ])
    });
    let sam_prior = sam
        .similarity_prompt
        .then(|| random([n, 1, sam.mask_side(), sam.mask_side()]));
    let taps: Vec<Tensor<3>> = model
        .clip
        .forward(clip_pixels.clone(), clip_prior.clone())
        .taps
        .into_iter()
        .map(Tensor::detach)
        .collect();
    let image = model.sam_encoder.forward(sam_pixels.clone()).detach();
    let d_text = config.llm.d_model;
    let words = random([1, n, N_WORDS + config.projector.n_visual(), d_text]).squeeze_dim::<3>(0);
    let seg = random([1, 1, n, d_text]).reshape([n, d_text]);

    println!("{n} samples, milliseconds a sample");
    println!("{:12} {:>9} {:>9}", "part", "forward", "with back");
    let report = |name: &str, run: &dyn Fn() -> Tensor<1>| {
        let read = |loss: &Tensor<1>| loss.clone().into_data().iter::<f32>().sum::<f32>();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..5 {
            let start = Instant::now();
            let loss = run();
            read(&loss);
            times[0].push(start.elapsed().as_secs_f64() * 1e3 / n as f64);
            drop(loss.backward());
            times[1].push(start.elapsed().as_secs_f64() * 1e3 / n as f64);
        }
        times.iter_mut().for_each(|t| t.sort_by(f64::total_cmp));
        println!("{name:12} {:9.2} {:9.2}", times[0][2], times[1][2]);
    };
    report("clip", &|| {
        let output = model.clip.forward(clip_pixels.clone(), clip_prior.clone());
        let states = output.hidden_states;
        states[states.len() - 1].clone().sum()
    });
    report("projector", &|| model.project(&taps).sum());
    report("llm", &|| {
        let hidden = model
            .llm
            .forward(words.clone(), &mut KvCache::new(&config.llm))
            .map(|hidden| hidden.reshape([-1, d_text as i32]));
        hidden.map_or_else(
            |_| Tensor::zeros([1], &device),
            |hidden| model.llm.logits(hidden.narrow(0, 0, 60 * n)).sum(),
        )
    });
    report("sam encoder", &|| {
        model.sam_encoder.forward(sam_pixels.clone()).sum()
    });
    report("sam decoder", &|| {
        model
            .segment(seg.clone(), image.clone(), sam_prior.clone())
            .sum()
    });
    Ok(())
}
