use std::path::PathBuf;

/// Why a checkpoint cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was being read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder holds no checkpoint.
    #[error("{}: no .safetensors file in this folder", .0.display())]
    NoCheckpoint(PathBuf),
    /// A folder holds several safetensors files and no index that joins them.
    #[error("{}: several .safetensors files and no *.index.json; name one file", .0.display())]
    SeveralFiles(PathBuf),
    /// A pickle file: reading one can run code, so only safetensors is read.
    #[error(
        "{}: a PyTorch pickle file (.bin, .pth, .pt, .ckpt) is not read; save it as .safetensors first \
         (torch.load with weights_only=True, then safetensors.torch.save_file)",
        .0.display()
    )]
    Pickle(PathBuf),
    /// The file's name says nothing that can be read.
    #[error("{}: not a .safetensors file, a *.index.json or a folder of them", .0.display())]
    UnknownFile(PathBuf),
    /// A safetensors file is damaged.
    #[error("{}: not a valid safetensors file: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An `*.index.json` is damaged, or names a shard outside its folder.
    #[error("{}: not a valid shard index: {reason}", path.display())]
    BadIndex {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The index promises a tensor that its shard does not hold.
    #[error("{}: tensor {tensor} is in the index but not in this shard", shard.display())]
    MissingInShard {
        /// The shard.
        shard: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// No tensor of that name.
    #[error("no tensor {0} in the checkpoint")]
    NoTensor(String),
    /// A tensor that is needed is not f32, f16 or bf16.
    #[error("tensor {tensor} is {dtype}; only F32, F16 and BF16 can be converted")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// Its type as safetensors names it.
        dtype: String,
    },
    /// A tensor's shape does not allow what its name asks for.
    #[error("tensor {tensor} has shape {shape:?}: {reason}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What the shape should allow.
        reason: &'static str,
    },
    /// Two tensors of the checkpoint have the same package name and differ.
    #[error("two different tensors of the checkpoint are {name}; the second is {second}")]
    Conflict {
        /// The package name.
        name: String,
        /// The checkpoint's name of the second.
        second: String,
    },
    /// Meta's own release of LLaMA.
    #[error(
        "this is Meta's original LLaMA layout ({0}): its query and key rows are interleaved for another \
         form of rotary embedding. Convert it with transformers' convert_llama_weights_to_hf.py first"
    )]
    MetaInterleaved(String),
    /// LoRA factors that were not merged into their matrices, and no scale to do it by.
    #[error(
        "{0} is a LoRA factor: the checkpoint is not merged, and the scale it was trained with is not in \
         it. Give LoRA's alpha (LISA's is 16), or merge it first (PEFT's merge_and_unload)"
    )]
    UnmergedLora(String),
    /// No layout has these names.
    #[error("no known layout has these tensor names (the first: {0})")]
    UnknownLayout(String),
}
