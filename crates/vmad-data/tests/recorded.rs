//! Scenes of every world against recorded hashes: a change of structure must not alter a byte of them.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::PathBuf;

use vmad_data::{Composite, Generator, Sample, Scenes, Split, Studio, Workshop, read_photos};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a over image, mask, category and texts of a sample.
fn hash(all: u64, sample: &Sample) -> u64 {
    let mut bytes = sample.image.as_raw().clone();
    bytes.extend(sample.mask().as_raw());
    bytes.extend(sample.category.bytes());
    for qa in &sample.qa {
        bytes.extend(qa.question.bytes());
        bytes.extend(qa.answer.bytes());
    }
    bytes.iter().fold(all, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
    })
}

fn photographs() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/photos"))
}

#[test]
fn scenes_of_every_world_stay_as_they_are() {
    let photos = read_photos(&photographs()).unwrap();
    let worlds: [(&str, Box<dyn Scenes>, u64); 7] = [
        (
            "catalogue, train",
            Box::new(Generator::new(5, Split::Train, 96)),
            0x9a71_663b_dc14_e64c,
        ),
        (
            "catalogue, unseen",
            Box::new(Generator::new(5, Split::Unseen, 96)),
            0xe3b1_fc0c_1a4f_f861,
        ),
        (
            "workshop 64",
            Box::new(Workshop::new(5, 64)),
            0x4ada_4f32_27b6_9df7,
        ),
        (
            "workshop 97",
            Box::new(Workshop::new(6, 97)),
            0x13fc_5d8d_4e1c_2771,
        ),
        (
            "studio 64",
            Box::new(Studio::new(5, 64)),
            0x907c_d5d4_7e89_3200,
        ),
        (
            "studio 97",
            Box::new(Studio::new(6, 97)),
            0x2063_fe3f_c04f_39f9,
        ),
        (
            "photographs",
            Box::new(Composite::new(5, 96, photos).unwrap()),
            0xe196_b746_0929_ff12,
        ),
    ];
    let actual = worlds.each_ref().map(|(name, world, _)| {
        let all = (0..24).fold(FNV_OFFSET, |all, index| hash(all, &world.sample(index)));
        (*name, all)
    });
    let expected = worlds.each_ref().map(|(name, _, hash)| (*name, *hash));
    assert!(actual == expected, "{actual:#x?}");
}
