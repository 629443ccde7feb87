//! The 24 products: names, what normal looks like, and which split they belong to.

use crate::error::DataError;

/// Which categories a generator draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The 16 categories that training may see.
    Train,
    /// The 8 categories kept back for zero-shot evaluation.
    Unseen,
}

impl Split {
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Unseen => "unseen",
        }
    }
}

macro_rules! categories {
    ($($id:ident $split:ident $name:literal $object:literal $normal:literal;)*) => {
        /// One product in front of one camera.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Category {
            $(#[doc = $object] $id,)*
        }

        impl Category {
            /// All 24 categories, training ones first.
            pub const ALL: [Category; 24] = [$(Category::$id,)*];

            /// Identifier in file names and annotations, such as `metal_plate`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// The words used in sentences, such as "metal plate".
            pub fn object(self) -> &'static str {
                match self { $(Self::$id => $object,)* }
            }

            /// One sentence about the normal look.
            pub fn normal_description(self) -> &'static str {
                match self { $(Self::$id => $normal,)* }
            }

            /// The split it belongs to.
            pub fn split(self) -> Split {
                match self { $(Self::$id => Split::$split,)* }
            }
        }
    };
}

categories! {
    Leather Train "leather" "leather" "Normal leather has an even brown colour and fine regular grain.";
    MetalPlate Train "metal_plate" "metal plate" "A normal metal plate is grey with fine straight brushing lines.";
    Wood Train "wood" "wood board" "A normal wood board is light brown with long smooth grain lines.";
    Fabric Train "fabric" "fabric" "Normal fabric is a regular weave of crossing threads.";
    Tile Train "tile" "ceramic tile" "A normal ceramic tile is smooth and glossy with straight joints.";
    Carpet Train "carpet" "carpet" "Normal carpet has short dense fibres of one even colour.";
    Concrete Train "concrete" "concrete slab" "A normal concrete slab is grey with soft clouds and tiny pores.";
    Washer Train "washer" "washer" "A normal washer is a smooth round metal ring with clean edges.";
    Gear Train "gear" "gear" "A normal gear is a metal wheel with equal teeth and a round bore.";
    HexNut Train "hex_nut" "hex nut" "A normal hex nut has six clean edges and a threaded bore.";
    BottleCap Train "bottle_cap" "bottle cap" "A normal bottle cap is round with an even rim and a printed ring.";
    Capsule Train "capsule" "capsule" "A normal capsule has two smooth glossy halves of different colour.";
    CircuitBoard Train "circuit_board" "circuit board" "A normal circuit board is green with straight traces and clean pads.";
    Button Train "button" "button" "A normal button is a smooth round disc with four openings.";
    ToyBrick Train "toy_brick" "toy brick" "A normal toy brick is glossy plastic with eight round studs.";
    CableEnd Train "cable_end" "cable end" "A normal cable end shows three insulated wires in a round sheath.";
    RubberMat Unseen "rubber_mat" "rubber mat" "A normal rubber mat is dark with a regular pattern of round knobs.";
    Cardboard Unseen "cardboard" "cardboard" "Normal cardboard is light brown with fine fibres and faint lines.";
    WireMesh Unseen "wire_mesh" "wire mesh" "A normal wire mesh is a regular grid of equal round wires.";
    Bearing Unseen "bearing" "bearing" "A normal bearing has two smooth rings and equal steel balls.";
    Coin Unseen "coin" "coin" "A normal coin is round with a beaded rim and a star in the middle.";
    PerforatedPlate Unseen "perforated_plate" "perforated plate" "A normal perforated plate has sixteen equal round openings in rows.";
    Tablet Unseen "tablet" "tablet" "A normal tablet is round and matt with one straight score line.";
    Bracket Unseen "bracket" "bracket" "A normal bracket is a painted steel angle with two round bores.";
}

impl Category {
    /// The categories of one split, in fixed order.
    pub fn of(split: Split) -> &'static [Category] {
        let (train, unseen) = Self::ALL.split_at(16);
        match split {
            Split::Train => train,
            Split::Unseen => unseen,
        }
    }

    /// Finds a category by its [`Category::name`].
    pub fn parse(name: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|c| c.name() == name)
            .ok_or_else(|| DataError::UnknownCategory { name: name.into() })
    }

    /// Whether the product fills the frame (no background visible).
    pub fn is_texture(self) -> bool {
        matches!(
            self,
            Self::Leather
                | Self::MetalPlate
                | Self::Wood
                | Self::Fabric
                | Self::Tile
                | Self::Carpet
                | Self::Concrete
                | Self::RubberMat
                | Self::Cardboard
                | Self::WireMesh
        )
    }
}
