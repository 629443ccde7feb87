//! DSSL against torchvision's RoIAlign and a second implementation of equations (8) to (18), and
//! where its gradients go.
#![expect(clippy::unwrap_used, reason = "a broken fixture must fail the test")]

use std::collections::HashMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use vmad_model::config::ClipConfig;
use vmad_model::{Builder, DeviceWeights, LoadedWeight, ModelError, VmadConfig};
use vmad_train::dssl::{
    DsslConfig, DsslHeads, DsslImage, Entry, Extent, Maps, Memory, Observation, PatchBox, Patches,
    SamplingRatio, Support, VisualHead, extent_mean, log_similarity, observe, roi_align, unit,
};

/// Largest absolute difference that is accepted, and beyond a value of 1 the largest relative one:
/// similarities are divided by τ = 0.07, so f32's 1e-7 comes out as 1e-5 before the exponential.
const TOLERANCE: f32 = 1e-4;

struct Fixture {
    floats: HashMap<String, (Vec<usize>, Vec<f32>)>,
    ints: HashMap<String, Vec<i32>>,
    name: &'static str,
}

impl Fixture {
    fn read(name: &'static str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../tests/fixtures/model/{name}.safetensors"));
        let bytes = std::fs::read(path).unwrap();
        let (mut floats, mut ints) = (HashMap::new(), HashMap::new());
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let (words, _) = view.data().as_chunks::<4>();
            if view.dtype() == safetensors::Dtype::I32 {
                ints.insert(name, words.iter().map(|w| i32::from_le_bytes(*w)).collect());
            } else {
                let values = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
                floats.insert(name, (view.shape().to_vec(), values));
            }
        }
        Self { floats, ints, name }
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.floats[name].1
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.floats[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    fn rows(&self, name: &str) -> Vec<Vec<f32>> {
        let (shape, values) = &self.floats[name];
        values.chunks_exact(shape[1]).map(<[f32]>::to_vec).collect()
    }

    fn check<const D: usize>(&self, name: &str, actual: Tensor<D>) {
        let (shape, _) = &self.floats[name];
        assert_eq!(actual.dims().as_slice(), shape, "{}: {name}", self.name);
        self.check_values(name, &actual.into_data().iter::<f32>().collect::<Vec<_>>());
    }

    fn check_values(&self, name: &str, actual: &[f32]) {
        let expected = self.values(name);
        assert_eq!(actual.len(), expected.len(), "{}: {name}", self.name);
        for (at, (a, e)) in actual.iter().zip(expected).enumerate() {
            assert!(
                (a - e).abs() <= TOLERANCE * e.abs().max(1.0),
                "{}: {name}[{at}] is {a}, the reference says {e}",
                self.name
            );
        }
    }
}

#[test]
fn roi_align_is_torchvisions() {
    let fixture = Fixture::read("roi_align");
    let device = Device::flex();
    let map = fixture.tensor::<4>("in.features", &device);
    let [_, d, height, width] = map.dims();
    let map = map.reshape([d, height, width]);
    let boxes: Vec<[f64; 4]> = fixture
        .rows("in.boxes")
        .into_iter()
        .map(|b| [0, 1, 2, 3].map(|i: usize| f64::from(b[i])))
        .collect();
    for (name, n_bins, ratio) in [
        ("out.adaptive", 2, SamplingRatio::Adaptive),
        ("out.fixed", 2, SamplingRatio::Fixed(2)),
        ("out.one", 1, SamplingRatio::Fixed(3)),
        ("out.three", 3, SamplingRatio::Adaptive),
    ] {
        fixture.check(
            name,
            roi_align(map.clone(), &boxes, 1.0 / 16.0, n_bins, ratio),
        );
    }
}

/// Everything of one fixture, ready to run.
struct Case {
    fixture: Fixture,
    config: DsslConfig,
    heads: DsslHeads,
    names: Vec<(String, ParamId)>,
    memory: Memory,
    maps: Maps,
    image: DsslImage,
    embeddings: Tensor<2>,
}

impl Case {
    fn new(name: &'static str, head: VisualHead) -> Self {
        let device = &Device::flex().autodiff();
        let fixture = Fixture::read(name);
        let config = DsslConfig {
            head,
            ..DsslConfig::default()
        };
        let mut weights = DeviceWeights::default();
        for (name, (shape, values)) in &fixture.floats {
            if name.starts_with("dssl.") {
                let flat = TensorData::new(values.clone(), [values.len()]);
                let flat = Tensor::from_data(flat, device);
                weights.insert(name.clone(), LoadedWeight::Dense(flat, shape.clone()));
            }
        }
        let mut names = Vec::new();
        let mut root = Builder::new(&mut weights, &mut names);
        let heads = DsslHeads::new(&mut root.at("dssl"), &config, &sizes()).unwrap();
        assert!(weights.unused().is_empty(), "{:?}", weights.unused());
        let extent = |name: &str, side: f64| Extent {
            edges: [0, 1, 2, 3].map(|i: usize| f64::from(fixture.values(name)[i])),
            side,
        };
        let boxes = fixture.rows("in.boxes").into_iter().map(|b| PatchBox {
            x: b[0] as u32,
            y: b[1] as u32,
            width: (b[2] - b[0]) as u32,
            height: (b[3] - b[1]) as u32,
        });
        let patches = Patches {
            boxes: boxes.collect(),
            tokens: fixture.tensor("in.crops", device).require_grad(),
        };
        let image = DsslImage {
            image: 1000,
            class: "bolt".to_owned(),
            is_abnormal: true,
            description: vec![1],
            sam_extent: extent("in.sam_region", 144.0),
            clip_extent: extent("in.clip_region", 70.0),
            patches: Some(patches),
        };
        Self {
            memory: memory(&fixture, &config),
            maps: Maps {
                sam: fixture.tensor("in.sam", device),
                clip: fixture.tensor("in.clip", device),
            },
            embeddings: fixture.tensor("in.embeddings", device),
            fixture,
            config,
            heads,
            names,
            image,
        }
    }

    fn loss(&self) -> Option<Tensor<1>> {
        let images = std::slice::from_ref(&self.image);
        self.loss_of(&self.maps, images)
    }

    fn loss_of(&self, maps: &Maps, images: &[DsslImage]) -> Option<Tensor<1>> {
        let embed = |ids: &[i32]| embed(&self.embeddings, ids);
        self.heads
            .loss(&self.config, &self.memory, maps, images, embed)
            .unwrap()
    }

    /// Checks the gradient of every parameter; one that the reference does not list has none.
    fn check_gradients(&self, of: &str, gradients: &Gradients) {
        let mut found = GradientsById {
            gradients,
            values: HashMap::new(),
        };
        self.heads.visit(&mut found);
        assert!(!self.names.is_empty());
        for (name, id) in &self.names {
            let expected = format!("out.grad.{of}.{name}");
            match found.values.get(id) {
                Some(actual) if self.fixture.floats.contains_key(&expected) => {
                    self.fixture.check_values(&expected, actual);
                }
                Some(actual) => {
                    assert!(actual.iter().all(|g| *g == 0.0), "{name} learns from {of}")
                }
                None => assert!(
                    !self.fixture.floats.contains_key(&expected),
                    "{name} learns nothing"
                ),
            }
        }
    }
}

struct GradientsById<'a> {
    gradients: &'a Gradients,
    values: HashMap<ParamId, Vec<f32>>,
}

impl ModuleVisitor for GradientsById<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            let values = gradient.into_data().iter::<f32>().collect();
            self.values.insert(param.id, values);
        }
    }
}

fn embed(table: &Tensor<2>, ids: &[i32]) -> Result<Tensor<2>, ModelError> {
    let ids = TensorData::new(ids.to_vec(), [ids.len()]);
    Ok(table
        .clone()
        .select(0, Tensor::<1, Int>::from_data(ids, &table.device())))
}

/// The fixture's memory: its running mean is put there as if one picture had been seen.
fn memory(fixture: &Fixture, config: &DsslConfig) -> Memory {
    let mut memory = Memory::new(config);
    let mut push = |class: &str, is_abnormal, entry| {
        memory.push(Observation {
            class: class.to_owned(),
            is_abnormal,
            entry,
        });
    };
    let (pooled, clip) = (
        fixture.rows("in.memory.pooled"),
        fixture.rows("in.memory.clip"),
    );
    let normal = &fixture.ints["in.memory.normal"];
    for (i, (pooled, clip)) in pooled.into_iter().zip(clip).enumerate() {
        let description = fixture.ints["in.memory.description"][i];
        let entry = Entry {
            image: i as u64,
            pooled,
            clip,
            description: fixture.ints[&format!("in.ids.{description}")].clone(),
        };
        push("bolt", normal[i] == 0, entry);
    }
    // One more picture, of another class, that brings the mean to the fixture's.
    let (n, mean) = (normal.len() as f32, memory.centre().mean.clone());
    let centre = fixture.values("in.centre").iter().zip(mean);
    let entry = Entry {
        image: 500,
        pooled: centre
            .map(|(wanted, mean)| wanted * (n + 1.0) - mean * n)
            .collect(),
        clip: vec![0.0; 12],
        description: Vec::new(),
    };
    memory.push(Observation {
        class: "nut".to_owned(),
        is_abnormal: false,
        entry,
    });
    for (actual, wanted) in memory.centre().mean.iter().zip(fixture.values("in.centre")) {
        assert!((actual - wanted).abs() < 1e-5, "{actual}, wanted {wanted}");
    }
    memory
}

/// Widths as in the fixtures; the rest does not matter to the heads.
fn sizes() -> VmadConfig {
    let text = include_str!("dssl_sizes.toml");
    let config: VmadConfig = toml::from_str(text).unwrap();
    let ClipConfig { d_model, .. } = config.clip;
    assert_eq!(
        (d_model, config.sam.d_out, config.llm.d_model),
        (12, 10, 20)
    );
    config
}

const HEADS: [(&str, VisualHead); 2] = [
    ("dssl", VisualHead::Centred),
    ("dssl_head", VisualHead::Dscl),
];

#[test]
fn every_quantity_is_the_references() {
    let device = Device::flex().autodiff();
    for (name, head) in HEADS {
        let case = Case::new(name, head);
        let (fixture, heads) = (&case.fixture, &case.heads);
        let centre = case.memory.centre();
        let roi = fixture.tensor::<4>("out.roi", &device);
        let [k, d, _, _] = roi.dims();
        let roi = roi.reshape([k, d, 4]).mean_dim(2).reshape([k, d]);
        let b = heads.visual(roi, centre);
        fixture.check("out.b", b.clone());
        let z = heads.visual(fixture.tensor("in.memory.pooled", &device), centre);
        fixture.check("out.z", z.clone());
        fixture.check("out.p", log_similarity(b, z, case.config.temperature).exp());

        let text = fixture.ints["in.memory.description"].iter().map(|index| {
            let ids = &fixture.ints[&format!("in.ids.{index}")];
            embed(&case.embeddings, ids).unwrap().mean_dim(0)
        });
        let text = Tensor::cat(text.collect(), 0);
        let s = heads.entries(text, fixture.tensor("in.memory.clip", &device));
        fixture.check("out.s", s.clone());
        let crops = fixture.tensor::<3>("in.crops", &device);
        let [k, _, d_text] = crops.dims();
        let b_text = unit(crops.mean_dim(1).reshape([k, d_text]));
        fixture.check("out.b_text", b_text.clone());
        let q = log_similarity(b_text, s, case.config.temperature).exp();
        fixture.check("out.p_text", q);
    }
}

#[test]
fn padding_is_left_out_of_the_means() {
    let case = Case::new("dssl", VisualHead::Centred);
    let seen = observe(&case.maps, std::slice::from_ref(&case.image)).unwrap();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].is_abnormal);
    assert_eq!(
        (seen[0].class.as_str(), seen[0].entry.image),
        ("bolt", 1000)
    );
    case.fixture
        .check_values("out.gap.sam", &seen[0].entry.pooled);
    case.fixture
        .check_values("out.gap.clip", &seen[0].entry.clip);
}

#[test]
fn loss_and_gradients_are_the_references() {
    for (name, head) in HEADS {
        for (support, of) in [(Support::Positives, "positives"), (Support::All, "all")] {
            let mut case = Case::new(name, head);
            case.config.pbsd_support = support;
            case.config.contrastive = 0.0;
            let loss = case.loss().unwrap();
            case.fixture.check(&format!("out.loss.{of}"), loss.clone());
            let gradients = loss.backward();
            case.check_gradients(of, &gradients);
            let tokens = &case.image.patches.as_ref().unwrap().tokens;
            let crops = tokens.grad(&gradients).unwrap();
            case.fixture.check(&format!("out.grad.{of}.crops"), crops);
        }
    }
}

/// The contrastive loss trains DSCL's head, and nothing else.
#[test]
fn the_contrast_trains_the_visual_head() {
    let mut case = Case::new("dssl_head", VisualHead::Dscl);
    case.image.patches = None;
    let loss = case.loss().unwrap();
    case.fixture.check("out.loss.contrastive", loss.clone());
    case.check_gradients("contrastive", &loss.backward());
    // With patches it is added to (18).
    let whole = Case::new("dssl_head", VisualHead::Dscl);
    let parts = ["out.loss.positives", "out.loss.contrastive"];
    let sum: f32 = parts.iter().map(|part| whole.fixture.values(part)[0]).sum();
    let loss = whole.loss().unwrap().into_scalar::<f32>();
    assert!(
        (loss - sum).abs() < TOLERANCE * sum,
        "{loss}, the parts give {sum}"
    );
}

/// Golden test 5 through the whole function: maps and embeddings that ask for a gradient get none.
#[test]
fn no_gradient_reaches_maps_or_embeddings() {
    for (name, head) in HEADS {
        let mut case = Case::new(name, head);
        case.maps.sam = case.maps.sam.require_grad();
        case.maps.clip = case.maps.clip.require_grad();
        case.embeddings = case.embeddings.require_grad();
        let gradients = case.loss().unwrap().backward();
        let largest = |gradient: Option<Tensor<1>>| {
            gradient.map_or(0.0, |g| g.abs().max().into_scalar::<f32>())
        };
        let flat = |t: Tensor<4>| t.flatten::<1>(0, 3);
        assert_eq!(
            largest(case.maps.sam.grad(&gradients).map(flat)),
            0.0,
            "{name}"
        );
        let clip = case.maps.clip.grad(&gradients);
        assert_eq!(largest(clip.map(|t| t.flatten(0, 2))), 0.0, "{name}");
        let embeddings = case.embeddings.grad(&gradients);
        assert_eq!(largest(embeddings.map(|t| t.flatten(0, 1))), 0.0, "{name}");
        let tokens = &case.image.patches.as_ref().unwrap().tokens;
        assert!(
            largest(tokens.grad(&gradients).map(|t| t.flatten(0, 2))) > 0.0,
            "{name}"
        );
    }
}

#[test]
fn a_batch_averages_the_pictures_that_are_ready() {
    let case = Case::new("dssl", VisualHead::Centred);
    let alone = case.fixture.values("out.loss.positives")[0];
    let mut unready = case.image.clone();
    unready.class = "nut".to_owned();
    let mut bare = case.image.clone();
    bare.patches = None;
    let twice = |t: &Tensor<4>| Tensor::cat(vec![t.clone() * 2.0, t.clone()], 0);
    let maps = Maps {
        sam: twice(&case.maps.sam),
        clip: case.maps.clip.clone().repeat_dim(0, 2),
    };
    let loss_of = |images: &[DsslImage]| {
        let loss = case.loss_of(&maps, images);
        loss.map(|loss| loss.into_scalar::<f32>())
    };
    // The second map is the fixture's.
    for first in [unready.clone(), bare.clone()] {
        let loss = loss_of(&[first, case.image.clone()]).unwrap();
        assert!(
            (loss - alone).abs() < TOLERANCE * alone,
            "{loss}, alone {alone}"
        );
    }
    let both = loss_of(&[case.image.clone(), case.image.clone()]).unwrap();
    let first = loss_of(&[case.image.clone(), bare.clone()]).unwrap();
    assert!(
        (both - (first + alone) / 2.0).abs() < TOLERANCE * both,
        "{both}"
    );
    assert!((first - alone).abs() > 0.01, "the first map is another one");
    assert_eq!(loss_of(&[unready, bare]), None);
}

/// A picture is not compared with itself: held or not, it has the same loss.
#[test]
fn a_picture_is_not_its_own_example() {
    let mut case = Case::new("dssl", VisualHead::Centred);
    case.image.image = 0;
    let without = case.loss().map(|loss| loss.into_scalar::<f32>());
    assert!(without.is_some());
    let others = case.memory.others("bolt", 0).unwrap();
    assert_eq!(
        others.len(),
        case.memory.others("bolt", 1000).unwrap().len() - 1
    );
    case.image.image = 1000;
    assert_ne!(case.loss().map(|loss| loss.into_scalar::<f32>()), without);
}

#[test]
fn a_missing_description_is_a_zero_vector() {
    let case = Case::new("dssl", VisualHead::Centred);
    let mut memory = Memory::new(&case.config);
    for (index, (entry, normal)) in case
        .memory
        .others("bolt", 1000)
        .unwrap()
        .into_iter()
        .enumerate()
    {
        let mut entry = entry.clone();
        if index % 2 == 0 {
            entry.description.clear();
        }
        memory.push(Observation {
            class: "bolt".to_owned(),
            is_abnormal: !normal,
            entry,
        });
    }
    let case = Case { memory, ..case };
    assert!(case.loss().unwrap().into_scalar::<f32>().is_finite());
}

#[test]
fn means_of_a_batch_have_an_extent_each() {
    let device = Device::flex();
    let cells = Tensor::<3>::from_data([[[1.0_f32], [2.0], [4.0], [8.0]]; 2], &device);
    let extents =
        [[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 2.0, 1.5]].map(|edges| Extent { edges, side: 2.0 });
    let means: Vec<f32> = extent_mean(cells, &extents, &device)
        .into_data()
        .iter::<f32>()
        .collect();
    // 15 / 4, and (2 + 8 / 2) / 1.5.
    for (mean, expected) in means.iter().zip([3.75, 4.0]) {
        assert!(
            (mean - expected).abs() < 1e-6,
            "{mean}, expected {expected}"
        );
    }
}
