//! The 15 kinds of defect and the words for where and how large one is.

use image::GrayImage;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $type:ident $count:literal { $($id:ident $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type {
            $(#[doc = $name] $id,)*
        }

        impl $type {
            /// All values in fixed order.
            pub const ALL: [$type; $count] = [$($type::$id,)*];

            /// The word used in sentences.
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }
        }
    };
}

words! {
    /// What kind of defect; the order gives the COCO category ids 0–14.
    DefectKind 15 {
        Scratch "scratch";
        Crack "crack";
        Stain "stain";
        Hole "hole";
        Dent "dent";
        Chip "chip";
        Discolouration "discolouration";
        Contamination "contamination";
        Burr "burr";
        Rust "rust";
        Bubble "bubble";
        Burn "burn";
        Cut "cut";
        Abrasion "abrasion";
        Misprint "misprint";
    }
}

words! {
    /// Part of the frame, on a 3×3 grid.
    Location 9 {
        UpperLeft "upper left";
        UpperCentre "upper centre";
        UpperRight "upper right";
        CentreLeft "centre left";
        Centre "centre";
        CentreRight "centre right";
        LowerLeft "lower left";
        LowerCentre "lower centre";
        LowerRight "lower right";
    }
}

words! {
    /// Extent of a defect: longest side of its box against the frame.
    SizeWord 3 {
        Small "small";
        Medium "medium";
        Large "large";
    }
}

words! {
    /// How much a defect matters, from its kind and extent.
    Severity 3 {
        Minor "minor";
        Moderate "moderate";
        Severe "severe";
    }
}

impl DefectKind {
    /// The COCO category id.
    pub fn id(self) -> usize {
        self as usize
    }

    /// The kind of a COCO category id.
    pub fn from_id(id: usize) -> Option<Self> {
        Self::ALL.get(id).copied()
    }

    /// The first kind named in a text, as a whole word, singular or plural.
    ///
    /// An answer about a picture with two kinds names both, the one of `Sample::defects[0]` first:
    /// that one is found.
    pub fn find_in(text: &str) -> Option<Self> {
        text.split(|c: char| !c.is_alphanumeric()).find_map(|word| {
            let word = word.to_lowercase();
            Self::ALL.into_iter().find(|k| {
                word.strip_prefix(k.name())
                    .is_some_and(|rest| matches!(rest, "" | "s" | "es"))
            })
        })
    }
}

impl Location {
    /// The cell that holds a point given in 0..1 from the upper left corner.
    pub fn of(x: f32, y: f32) -> Self {
        let cell = |t: f32| ((t * 3.0) as usize).min(2);
        Self::ALL[cell(y) * 3 + cell(x)]
    }
}

impl SizeWord {
    /// The word for a box whose longest side is this fraction of the frame.
    pub fn of(extent: f32) -> Self {
        match extent {
            e if e < 0.17 => Self::Small,
            e if e < 0.34 => Self::Medium,
            _ => Self::Large,
        }
    }
}

impl Severity {
    /// Defects that weaken or open the part weigh one step more than cosmetic ones.
    pub fn of(kind: DefectKind, size: SizeWord) -> Self {
        use DefectKind::{Burn, Chip, Crack, Cut, Hole, Rust};
        let structural = matches!(kind, Crack | Hole | Chip | Cut | Rust | Burn);
        match (structural, size) {
            (false, SizeWord::Small) => Self::Minor,
            (false, SizeWord::Medium) | (true, SizeWord::Small) => Self::Moderate,
            _ => Self::Severe,
        }
    }
}

/// One defect of an image.
#[derive(Clone, Debug)]
pub struct Defect {
    /// Its kind.
    pub kind: DefectKind,
    /// 0 or 255 per pixel, as large as the image.
    pub mask: GrayImage,
    /// Where its centre of mass lies.
    pub location: Location,
    /// How large it is.
    pub size: SizeWord,
    /// How much it matters.
    pub severity: Severity,
    /// Median contrast over the mask: the largest channel difference to the same image without the
    /// defect, in 0..1, before sensor noise.
    pub contrast: f32,
}

impl Defect {
    /// A defect with place, size and severity read from its mask (0 or 255); nothing for an empty one.
    pub(crate) fn measured(kind: DefectKind, mask: GrayImage, contrast: f32) -> Option<Self> {
        let (mut sx, mut sy, mut count) = (0.0f64, 0.0f64, 0.0f64);
        let (mut lo, mut hi) = ((u32::MAX, u32::MAX), (0, 0));
        for (x, y, _) in mask.enumerate_pixels().filter(|(.., p)| p.0[0] != 0) {
            sx += f64::from(x);
            sy += f64::from(y);
            count += 1.0;
            lo = (lo.0.min(x), lo.1.min(y));
            hi = (hi.0.max(x), hi.1.max(y));
        }
        if count == 0.0 {
            return None;
        }
        let (width, height) = mask.dimensions();
        let side = f64::from(width.max(height)) as f32;
        let size = SizeWord::of((hi.0 + 1 - lo.0).max(hi.1 + 1 - lo.1) as f32 / side);
        let centre = |sum: f64, side: u32| ((sum / count + 0.5) / f64::from(side)) as f32;
        Some(Self {
            kind,
            location: Location::of(centre(sx, width), centre(sy, height)),
            size,
            severity: Severity::of(kind, size),
            contrast,
            mask,
        })
    }
}
