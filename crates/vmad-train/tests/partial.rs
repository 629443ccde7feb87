//! Training parts of a model: frozen parameters and LoRA.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Gradients, Tensor};
use vmad_model::llama::{Adapter, KvCache, Llama};
use vmad_model::{Builder, RandomWeights, Vmad, VmadConfig};
use vmad_train::{Freeze, Lora, LoraConfig, TrainError};

/// Largest difference between merged and unmerged, relative to the largest value: two orders of
/// sums in f32 through two blocks.
const TOLERANCE: f32 = 1e-5;

type Names = Vec<(String, ParamId)>;

fn sizes() -> VmadConfig {
    let mut config: VmadConfig = toml::from_str(include_str!("dssl_sizes.toml")).unwrap();
    config.llm.n_layers = 2;
    config.sam.d_out = 16;
    config
}

/// Values and, after a backward pass, gradients of all parameters.
#[derive(Default)]
struct Values<'a> {
    values: HashMap<ParamId, Vec<f32>>,
    gradients: Option<&'a Gradients>,
    learning: HashMap<ParamId, f32>,
}

impl ModuleVisitor for Values<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data().iter::<f32>().collect();
        self.values.insert(param.id, values);
        let gradient = self
            .gradients
            .and_then(|gradients| param.val().grad(gradients));
        if let Some(gradient) = gradient {
            let largest = gradient.abs().max().into_scalar::<f32>();
            self.learning.insert(param.id, largest);
        }
    }
}

fn values(module: &impl Module) -> HashMap<ParamId, Vec<f32>> {
    let mut values = Values::default();
    module.visit(&mut values);
    values.values
}

fn learning(module: &impl Module, gradients: &Gradients) -> HashMap<ParamId, f32> {
    let mut values = Values {
        gradients: Some(gradients),
        ..Values::default()
    };
    module.visit(&mut values);
    values.learning
}

/// A loss that every part of the model has a share in.
fn loss(model: &Vmad, config: &VmadConfig, device: &Device) -> Tensor<1> {
    let noise = |side| {
        device.seed(9);
        Tensor::<4>::random([1, 3, side, side], Distribution::Normal(0.0, 1.0), device)
    };
    let clip = model.clip.forward(noise(config.clip.image_size), None);
    let visual = model.project(&clip.taps);
    let hidden = model
        .llm
        .forward(visual, &mut KvCache::new(&config.llm))
        .unwrap();
    let [_, n, d] = hidden.dims();
    let seg = hidden.narrow(1, n - 1, 1).reshape([1, d]);
    let image = model.sam_encoder.forward(noise(config.sam.image_size));
    let logits = model.segment(seg.clone(), image, None);
    logits.square().mean() + model.llm.logits(seg).square().mean()
}

#[test]
fn frozen_parameters_stay_and_the_others_learn() {
    let config = sizes();
    let device = Device::flex().autodiff();
    let (model, names) = Vmad::new(&config, &mut RandomWeights::new(&device, 1)).unwrap();
    let freeze = Freeze {
        patterns: ["clip.*", "sam.image_encoder.*", "llm.layers.0.*.weight"]
            .map(str::to_owned)
            .into(),
    };
    let frozen = freeze.ids(&names).unwrap();
    let model = freeze.apply(model, &names).unwrap();
    // As a thread of a step gets it, and as a resumed run does.
    let model = model.clone().fork(&device).load_record(model.into_record());

    let gradients = loss(&model, &config, &device).backward();
    let learns = learning(&model, &gradients);
    let before = values(&model);
    // Weight decay alone would move a parameter that has a gradient of zero.
    let mut optimiser = AdamWConfig::new().with_weight_decay(0.1).init();
    let gradients = GradientsParams::from_grads(gradients, &model);
    let after = values(&optimiser.step(0.1, model, gradients));

    let mut moved = 0;
    for (name, id) in &names {
        if frozen.contains(id) {
            assert!(!learns.contains_key(id), "{name} has a gradient");
            assert_eq!(before[id], after[id], "{name}");
        } else if learns.get(id).is_some_and(|gradient| *gradient > 0.0) {
            assert_ne!(before[id], after[id], "{name}");
            moved += 1;
        }
    }
    let moves = |start: &str| {
        let mut of_part = names.iter().filter(|(name, _)| name.starts_with(start));
        of_part.any(|(_, id)| before[id] != after[id])
    };
    for part in [
        "projector.",
        "llm.layers.1.",
        "llm.embed",
        "seg.",
        "sam.mask_decoder.",
    ] {
        assert!(moves(part), "nothing of {part}* learns");
    }
    assert!(
        moved > 20 && frozen.len() > 20,
        "{moved} moved, {} frozen",
        frozen.len()
    );
}

#[test]
fn a_pattern_without_a_parameter_is_an_error() {
    let device = Device::flex();
    let (_, names) = Vmad::new(&sizes(), &mut RandomWeights::new(&device, 1)).unwrap();
    let freeze: Freeze = serde_json::from_str(r#"["clip.*", "sam.encoder.*"]"#).unwrap();
    let error = freeze.ids(&names).err().unwrap();
    assert!(matches!(&error, TrainError::Unfrozen { pattern } if pattern == "sam.encoder.*"));
    assert!(error.to_string().contains("sam.encoder.*"), "{error}");
    assert_eq!(Freeze::default().ids(&names).unwrap(), []);
}

/// A language model with grouped heads, so that q and v differ in width, and its factors.
fn with_lora(device: &Device) -> (VmadConfig, Vmad, Names, Lora, Names) {
    let config = sizes();
    let mut source = RandomWeights::new(device, 5);
    let (model, names) = Vmad::new(&config, &mut source).unwrap();
    let mut lora_names = Vec::new();
    let mut root = Builder::new(&mut source, &mut lora_names);
    let lora = Lora::new(&mut root, &config.llm, &LoraConfig::default()).unwrap();
    (config, model, names, lora, lora_names)
}

/// Moves B away from zero.
struct Stir;

impl ModuleMapper for Stir {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let noise = value.random_like(Distribution::Normal(0.0, 0.3));
            (value + noise).detach().require_grad()
        })
    }
}

fn input(config: &VmadConfig, device: &Device) -> Tensor<3> {
    device.seed(11);
    let shape = [2, 7, config.llm.d_model];
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn run(llm: &Llama, config: &VmadConfig, adapter: Option<&dyn Adapter>) -> Tensor<3> {
    let device = Device::flex().autodiff();
    let x = input(config, &device);
    let mut cache = KvCache::new(&config.llm);
    llm.forward_adapted(x, &mut cache, adapter).unwrap()
}

/// Largest difference, relative to the largest value.
fn difference(a: &Tensor<3>, b: &Tensor<3>) -> f32 {
    let largest = |t: Tensor<3>| t.abs().max().into_scalar::<f32>();
    largest(a.clone() - b.clone()) / largest(a.clone())
}

#[test]
fn fresh_factors_change_nothing() {
    let device = Device::flex().autodiff();
    let (config, model, _, lora, _) = with_lora(&device);
    let plain = run(&model.llm, &config, None);
    assert_eq!(
        difference(&plain, &run(&model.llm, &config, Some(&lora))),
        0.0
    );
    let dropping = lora.with_dropout(3);
    assert_eq!(
        difference(&plain, &run(&model.llm, &config, Some(&dropping))),
        0.0
    );
}

#[test]
fn merged_is_unmerged() {
    let device = Device::flex().autodiff();
    let (config, model, names, lora, _) = with_lora(&device);
    let lora = lora.map(&mut Stir);
    let plain = run(&model.llm, &config, None);
    let unmerged = run(&model.llm, &config, Some(&lora));
    assert!(
        difference(&plain, &unmerged) > 0.01,
        "the factors do nothing"
    );
    let before = values(&model);
    let merged = lora.merge(model, &names).unwrap();
    let apart = difference(&unmerged, &run(&merged.llm, &config, None));
    assert!(apart < TOLERANCE, "merged and unmerged differ by {apart}");
    let after = values(&merged);
    for (name, id) in &names {
        let is_base =
            name.ends_with("self_attn.q_proj.weight") || name.ends_with("self_attn.v_proj.weight");
        let is_changed = before[id] != after[id];
        assert_eq!(is_changed, is_base && name.starts_with("llm."), "{name}");
    }
}

#[test]
fn a_weight_that_is_not_there_is_named() {
    let device = Device::flex().autodiff();
    let (_, model, mut names, lora, _) = with_lora(&device);
    let name = "llm.layers.1.self_attn.v_proj.weight";
    names.retain(|(known, _)| known != name);
    let error = lora.merge(model, &names).err().unwrap().to_string();
    assert!(error.contains(name), "{error}");
}

#[test]
fn only_the_factors_learn() {
    let device = Device::flex().autodiff();
    let (config, model, names, lora, lora_names) = with_lora(&device);
    let everything = Freeze {
        patterns: vec!["*".to_owned()],
    };
    let model = everything.apply(model, &names).unwrap();
    let lora = lora.map(&mut Stir);
    let loss = run(&model.llm, &config, Some(&lora.with_dropout(1)))
        .square()
        .mean();
    // RMSNorm fixes the mean square; the cube does not vanish.
    let gradients = (loss + run(&model.llm, &config, Some(&lora)).powi_scalar(3).mean()).backward();
    assert!(learning(&model, &gradients).is_empty());
    let learns = learning(&lora, &gradients);
    assert_eq!(lora_names.len(), 2 * 2 * config.llm.n_layers);
    for (name, id) in &lora_names {
        assert!(
            learns.get(id).is_some_and(|g| *g > 0.0),
            "{name} learns nothing"
        );
    }
}

#[test]
fn dropout_follows_its_seed() {
    let device = Device::flex().autodiff();
    let (config, model, _, lora, _) = with_lora(&device);
    let lora = lora.map(&mut Stir);
    let dropped = |seed| run(&model.llm, &config, Some(&lora.with_dropout(seed)));
    let (first, again, other) = (dropped(1), dropped(1), dropped(2));
    assert_eq!(difference(&first, &again), 0.0);
    assert!(difference(&first, &other) > 0.0);
    assert!(difference(&first, &run(&model.llm, &config, Some(&lora))) > 0.0);
}

#[test]
fn factors_bear_pefts_names() {
    let device = Device::flex();
    let (config, _, names, _, lora_names) = with_lora(&device);
    let mut expected: Vec<String> = Vec::new();
    for part in ["q_proj", "v_proj"] {
        for layer in 0..config.llm.n_layers {
            for factor in ["lora_A", "lora_B"] {
                expected.push(format!(
                    "llm.layers.{layer}.self_attn.{part}.{factor}.weight"
                ));
            }
        }
    }
    let actual: Vec<&String> = lora_names.iter().map(|(name, _)| name).collect();
    assert_eq!(actual, expected.iter().collect::<Vec<_>>());
    // No id is used twice.
    let ids: std::collections::HashSet<ParamId> =
        names.iter().chain(&lora_names).map(|(_, id)| *id).collect();
    assert_eq!(ids.len(), names.len() + lora_names.len());
}
