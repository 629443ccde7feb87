//! Golden test 8: SAM as released and SAM as transformers keeps it become the same package; and
//! MobileSAM becomes SAM with another image encoder, whose batch norms can be had back.

mod common;

use std::collections::BTreeSet;

use common::{State, TestResult, write};
use rand::{Rng, SeedableRng, rngs::StdRng};
use safetensors::tensor::Dtype;
use vmad_convert::{
    Checkpoint, ConvertError, Layout, for_each_package_tensor, recognise, sam_original_from_hf,
};

const N_BLOCKS: usize = 2;
const D: usize = 8; // image encoder
const C: usize = 4; // mask decoder

/// A tiny random SAM under its original names, written out from the released model's module tree.
fn original_sam() -> State {
    let mut rng = StdRng::seed_from_u64(8);
    let mut state = State::new();
    let mut put = |name: String, shape: &[usize]| {
        let n = shape.iter().product();
        let values = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
        state.insert(name, (shape.to_vec(), values));
    };
    macro_rules! layer {
        ($name:expr, $shape:expr) => {{
            let shape: &[usize] = $shape;
            put(format!("{}.weight", $name), shape);
            put(format!("{}.bias", $name), &shape[..1]);
        }};
    }

    put("image_encoder.pos_embed".into(), &[1, 4, 4, D]);
    layer!("image_encoder.patch_embed.proj", &[D, 3, 2, 2]);
    for i in 0..N_BLOCKS {
        let block = format!("image_encoder.blocks.{i}");
        layer!(format!("{block}.norm1"), &[D]);
        layer!(format!("{block}.norm2"), &[D]);
        layer!(format!("{block}.attn.qkv"), &[3 * D, D]);
        layer!(format!("{block}.attn.proj"), &[D, D]);
        put(format!("{block}.attn.rel_pos_h"), &[7, 4]);
        put(format!("{block}.attn.rel_pos_w"), &[7, 4]);
        layer!(format!("{block}.mlp.lin1"), &[4 * D, D]);
        layer!(format!("{block}.mlp.lin2"), &[D, 4 * D]);
    }
    put("image_encoder.neck.0.weight".into(), &[C, D, 1, 1]);
    layer!("image_encoder.neck.1", &[C]);
    put("image_encoder.neck.2.weight".into(), &[C, C, 3, 3]);
    layer!("image_encoder.neck.3", &[C]);

    put(
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix".into(),
        &[2, C / 2],
    );
    put("prompt_encoder.no_mask_embed.weight".into(), &[1, C]);
    put("prompt_encoder.not_a_point_embed.weight".into(), &[1, C]);
    for i in 0..4 {
        put(
            format!("prompt_encoder.point_embeddings.{i}.weight"),
            &[1, C],
        );
    }
    layer!("prompt_encoder.mask_downscaling.0", &[2, 1, 2, 2]);
    layer!("prompt_encoder.mask_downscaling.1", &[2]);
    layer!("prompt_encoder.mask_downscaling.3", &[4, 2, 2, 2]);
    layer!("prompt_encoder.mask_downscaling.4", &[4]);
    layer!("prompt_encoder.mask_downscaling.6", &[C, 4, 1, 1]);

    put("mask_decoder.iou_token.weight".into(), &[1, C]);
    put("mask_decoder.mask_tokens.weight".into(), &[4, C]);
    let transformer = "mask_decoder.transformer";
    let mut attentions = vec![format!("{transformer}.final_attn_token_to_image")];
    for i in 0..2 {
        let layer = format!("{transformer}.layers.{i}");
        for kind in [
            "self_attn",
            "cross_attn_token_to_image",
            "cross_attn_image_to_token",
        ] {
            attentions.push(format!("{layer}.{kind}"));
        }
        for n in 1..=4 {
            layer!(format!("{layer}.norm{n}"), &[C]);
        }
        layer!(format!("{layer}.mlp.lin1"), &[2 * C, C]);
        layer!(format!("{layer}.mlp.lin2"), &[C, 2 * C]);
    }
    for attention in attentions {
        for part in ["q", "k", "v", "out"] {
            layer!(format!("{attention}.{part}_proj"), &[C, C]);
        }
    }
    layer!(format!("{transformer}.norm_final_attn"), &[C]);
    layer!("mask_decoder.output_upscaling.0", &[C, 2, 2, 2]);
    layer!("mask_decoder.output_upscaling.1", &[2]);
    layer!("mask_decoder.output_upscaling.3", &[2, 1, 2, 2]);
    for j in 0..3 {
        for i in 0..4 {
            layer!(
                format!("mask_decoder.output_hypernetworks_mlps.{i}.layers.{j}"),
                &[C, C]
            );
        }
        layer!(
            format!("mask_decoder.iou_prediction_head.layers.{j}"),
            &[C, C]
        );
    }
    state
}

/// The name that transformers' `convert_sam_to_hf.py` gives: its replacements, in its order.
fn hf_name(original: &str) -> String {
    let mut name = original.to_owned();
    for (from, to) in [
        (
            "iou_prediction_head.layers.0",
            "iou_prediction_head.proj_in",
        ),
        (
            "iou_prediction_head.layers.1",
            "iou_prediction_head.layers.0",
        ),
        (
            "iou_prediction_head.layers.2",
            "iou_prediction_head.proj_out",
        ),
        (
            "mask_decoder.output_upscaling.0",
            "mask_decoder.upscale_conv1",
        ),
        (
            "mask_decoder.output_upscaling.1",
            "mask_decoder.upscale_layer_norm",
        ),
        (
            "mask_decoder.output_upscaling.3",
            "mask_decoder.upscale_conv2",
        ),
        ("mask_downscaling.0", "mask_embed.conv1"),
        ("mask_downscaling.1", "mask_embed.layer_norm1"),
        ("mask_downscaling.3", "mask_embed.conv2"),
        ("mask_downscaling.4", "mask_embed.layer_norm2"),
        ("mask_downscaling.6", "mask_embed.conv3"),
        ("point_embeddings", "point_embed"),
        (
            "pe_layer.positional_encoding_gaussian_matrix",
            "shared_embedding.positional_embedding",
        ),
        ("image_encoder", "vision_encoder"),
        ("neck.0", "neck.conv1"),
        ("neck.1", "neck.layer_norm1"),
        ("neck.2", "neck.conv2"),
        ("neck.3", "neck.layer_norm2"),
        ("patch_embed.proj", "patch_embed.projection"),
        (".norm", ".layer_norm"),
        ("blocks", "layers"),
    ] {
        name = name.replace(from, to);
    }
    if name.contains("output_hypernetworks_mlps") {
        name = name
            .replace("layers.0", "proj_in")
            .replace("layers.1", "layers.0")
            .replace("layers.2", "proj_out");
    }
    name
}

fn package(checkpoint: &Checkpoint) -> Result<(Layout, State), ConvertError> {
    let layout = recognise(checkpoint.names())?;
    let mut state = State::new();
    let done = for_each_package_tensor(checkpoint, layout, None, |tensor| {
        state.insert(tensor.name, (tensor.shape, tensor.values));
        Ok::<(), ConvertError>(())
    })?;
    assert_eq!(done.unknown, Vec::<String>::new());
    Ok((layout, state))
}

#[test]
fn original_and_hf_sam_give_one_package() -> TestResult {
    let folder = tempfile::tempdir()?;
    let original = original_sam();

    let original_path = folder.path().join("original.safetensors");
    let mut with_constants = original.clone();
    with_constants.insert("pixel_mean".into(), (vec![3, 1, 1], vec![0.5; 3]));
    write(&original_path, &with_constants, Dtype::F32)?;
    let (layout, ours_from_original) = package(&Checkpoint::open(&original_path)?)?;
    assert_eq!(layout, Layout::SamOriginal);

    let hf_path = folder.path().join("hf.safetensors");
    let mut hf: State = original
        .iter()
        .map(|(name, tensor)| (hf_name(name), tensor.clone()))
        .collect();
    assert_eq!(hf.len(), original.len(), "no two names became one");
    let matrix = hf["prompt_encoder.shared_embedding.positional_embedding"].clone();
    hf.insert("shared_image_embedding.positional_embedding".into(), matrix);
    write(&hf_path, &hf, Dtype::F32)?;
    let hf_checkpoint = Checkpoint::open(&hf_path)?;

    // F → E: every original name is found again.
    let found: BTreeSet<String> = hf_checkpoint
        .names()
        .filter_map(sam_original_from_hf)
        .collect();
    assert_eq!(found, original.keys().cloned().collect());

    let (layout, ours_from_hf) = package(&hf_checkpoint)?;
    assert_eq!(layout, Layout::HfSam);
    assert_eq!(ours_from_original.len(), original.len());
    assert_eq!(ours_from_hf, ours_from_original);
    for (name, tensor) in &original {
        assert_eq!(ours_from_original.get(&format!("sam.{name}")), Some(tensor));
    }
    Ok(())
}

#[test]
fn a_tensor_kept_twice_must_be_the_same() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hf.safetensors");
    let state = State::from([
        (
            "prompt_encoder.shared_embedding.positional_embedding".into(),
            (vec![2, 1], vec![1.0, 2.0]),
        ),
        (
            "shared_image_embedding.positional_embedding".into(),
            (vec![2, 1], vec![1.0, 3.0]),
        ),
    ]);
    write(&path, &state, Dtype::F32)?;
    assert!(matches!(
        package(&Checkpoint::open(&path)?),
        Err(ConvertError::Conflict { .. })
    ));
    Ok(())
}

/// Names of TinyViT's convolutions with a batch norm, with the shape of each.
fn mobile_convolutions() -> Vec<(String, [usize; 4])> {
    const DIMS: [usize; 4] = [D, 6, 9, 10];
    let mut list = vec![
        ("patch_embed.seq.0".to_owned(), [D / 2, 3, 3, 3]),
        ("patch_embed.seq.2".to_owned(), [D, D / 2, 3, 3]),
    ];
    for i in 0..N_BLOCKS {
        let block = format!("layers.0.blocks.{i}");
        list.push((format!("{block}.conv1"), [3 * D, D, 1, 1]));
        list.push((format!("{block}.conv2"), [3 * D, 1, 3, 3]));
        list.push((format!("{block}.conv3"), [D, 3 * D, 1, 1]));
    }
    for stage in 1..4 {
        let (before, d) = (DIMS[stage - 1], DIMS[stage]);
        let merge = format!("layers.{}.downsample", stage - 1);
        list.push((format!("{merge}.conv1"), [d, before, 1, 1]));
        list.push((format!("{merge}.conv2"), [d, 1, 3, 3]));
        list.push((format!("{merge}.conv3"), [d, d, 1, 1]));
        for i in 0..N_BLOCKS {
            let local = format!("layers.{stage}.blocks.{i}.local_conv");
            list.push((local, [d, 1, 3, 3]));
        }
    }
    list
}

/// A tiny random MobileSAM under its public names: SAM's two other parts, and TinyViT.
fn mobile_sam() -> State {
    let mut rng = StdRng::seed_from_u64(9);
    let mut state = original_sam();
    state.retain(|name, _| {
        !name.starts_with("image_encoder.") || name.starts_with("image_encoder.neck.")
    });
    let mut put = |name: String, shape: &[usize], low: f32| {
        let n = shape.iter().product();
        let values = (0..n).map(|_| rng.random_range(low..1.0)).collect();
        state.insert(format!("image_encoder.{name}"), (shape.to_vec(), values));
    };
    for (name, shape) in mobile_convolutions() {
        put(format!("{name}.c.weight"), &shape, -1.0);
        for leaf in ["bias", "running_mean"] {
            put(format!("{name}.bn.{leaf}"), &shape[..1], -1.0);
        }
        for leaf in ["weight", "running_var"] {
            put(format!("{name}.bn.{leaf}"), &shape[..1], 0.1);
        }
    }
    for (stage, d) in [(1, 6), (2, 9), (3, 10)] {
        for i in 0..N_BLOCKS {
            let block = format!("layers.{stage}.blocks.{i}");
            put(format!("{block}.attn.attention_biases"), &[3, 4], -1.0);
            for (name, n_out, n_in) in [("attn.qkv", 3 * d, d), ("attn.proj", d, d)] {
                put(format!("{block}.{name}.weight"), &[n_out, n_in], -1.0);
                put(format!("{block}.{name}.bias"), &[n_out], -1.0);
            }
            for (name, n_out, n_in) in [("mlp.fc1", 4 * d, d), ("mlp.fc2", d, 4 * d)] {
                put(format!("{block}.{name}.weight"), &[n_out, n_in], -1.0);
                put(format!("{block}.{name}.bias"), &[n_out], -1.0);
            }
            for name in ["attn.norm", "mlp.norm"] {
                put(format!("{block}.{name}.weight"), &[d], -1.0);
                put(format!("{block}.{name}.bias"), &[d], -1.0);
            }
        }
    }
    state
}

#[test]
fn mobile_sam_both_ways() -> TestResult {
    /// Rounding of the folded values to f32, 2⁻²⁴, and of the values had back, a few times over.
    const TOLERANCE: f32 = 1e-6;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("mobile_sam.safetensors");
    let public = mobile_sam();
    let mut file = public.clone();
    let ignored = [
        "layers.1.downsample.conv1.bn.num_batches_tracked",
        "layers.1.blocks.0.attn.attention_bias_idxs",
        "norm_head.weight",
        "head.bias",
    ];
    for name in ignored {
        file.insert(format!("image_encoder.{name}"), (vec![1], vec![7.0]));
    }
    write(&path, &file, Dtype::F32)?;
    let (layout, ours) = package(&Checkpoint::open(&path)?)?;
    assert_eq!(layout, Layout::MobileSam);

    // Back: the statistics are known, so scale, shift and kernel follow from what was folded.
    let mut back = State::new();
    for (name, (shape, values)) in &ours {
        let name = name.strip_prefix("sam.").unwrap_or(name);
        let Some(conv) = name.strip_suffix(".c.weight") else {
            if !name.ends_with(".c.bias") {
                back.insert(name.to_owned(), (shape.clone(), values.clone()));
            }
            continue;
        };
        let norm = |leaf: &str| &public[&format!("{conv}.bn.{leaf}")].1;
        let (mean, variance, gamma) = (norm("running_mean"), norm("running_var"), norm("weight"));
        let (_, bias) = &ours[&format!("sam.{conv}.c.bias")];
        let sigma: Vec<f32> = variance.iter().map(|v| (v + 1e-5).sqrt()).collect();
        let per_output = values.len() / sigma.len();
        let kernel = values
            .iter()
            .enumerate()
            .map(|(i, value)| value * sigma[i / per_output] / gamma[i / per_output])
            .collect();
        let beta = (0..sigma.len())
            .map(|i| bias[i] + mean[i] * gamma[i] / sigma[i])
            .collect();
        back.insert(name.to_owned(), (shape.clone(), kernel));
        back.insert(format!("{conv}.bn.bias"), (vec![sigma.len()], beta));
        for leaf in ["weight", "running_mean", "running_var"] {
            let name = format!("{conv}.bn.{leaf}");
            let statistics = public[&name].clone();
            back.insert(name, statistics);
        }
    }
    assert!(
        back.keys().eq(public.keys()),
        "every public name, and no other"
    );
    for (name, (shape, values)) in &public {
        let (back_shape, back_values) = &back[name];
        assert_eq!(back_shape, shape, "{name}");
        for (i, (value, expected)) in back_values.iter().zip(values).enumerate() {
            let difference = (value - expected).abs();
            assert!(
                difference <= TOLERANCE * expected.abs().max(1.0),
                "{name}[{i}] is {value}, and was {expected}"
            );
        }
    }
    Ok(())
}

/// Against PyTorch: `tests/reference/tiny_vit.py` writes the encoder as released and as a package
/// holds it.
#[test]
fn folding_is_what_pytorch_computes() -> TestResult {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/model");
    let open = |name: &str| Checkpoint::open(format!("{fixtures}/{name}.safetensors"));
    let (layout, mut ours) = package(&open("tiny_vit_public")?)?;
    assert_eq!(layout, Layout::MobileSam);
    let expected = open("tiny_vit")?;
    for name in expected.names().filter(|name| name.starts_with("sam.")) {
        let tensor = expected.read(name)?;
        // The same steps in f64, rounded once.
        assert_eq!(
            ours.remove(name),
            Some((tensor.shape, tensor.values)),
            "{name}"
        );
    }
    assert!(ours.is_empty(), "left over: {:?}", ours.keys());
    Ok(())
}

#[test]
fn a_norm_must_fit_its_convolution() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("mobile_sam.safetensors");
    let mut state = mobile_sam();
    let name = "image_encoder.patch_embed.seq.0.bn.running_var";
    for (replacement, message) in [
        (
            Some((vec![1], vec![1.0])),
            "one value for each output channel",
        ),
        (None, "no tensor"),
    ] {
        state.remove(name);
        state.extend(replacement.map(|tensor| (name.to_owned(), tensor)));
        write(&path, &state, Dtype::F32)?;
        let error = package(&Checkpoint::open(&path)?)
            .err()
            .map(|e| e.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(message) && error.contains(name), "{error}");
    }
    Ok(())
}
