//! The Rust source that the build script writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::assemble::{Assembled, FEATURES};
use crate::reflect::{self, Kind, Struct};

/// Bytes to which the uniform buffer of a parameter struct is rounded up.
const UNIFORM_ALIGNMENT: u32 = 16;

/// The text of a file is written once, however many shaders include it.
#[derive(Default)]
pub struct Output {
    /// The number of the constant that holds a text.
    texts: BTreeMap<String, usize>,
    /// Parameter structs by name.
    structs: BTreeMap<String, Struct>,
    /// Structs that are the parameters of a shader, not a part of them.
    params: BTreeMap<String, u32>,
    tiles: BTreeMap<String, u32>,
    shaders: String,
}

impl Output {
    /// Adds a shader with its variants, those with the most features first.
    pub fn add(&mut self, name: &str, variants: &[Assembled]) -> Result<(), String> {
        let reflected = variants
            .iter()
            .map(|assembled| reflect::check(name, assembled))
            .collect::<Result<Vec<_>, _>>()?;
        let [first, rest @ ..] = reflected.as_slice() else {
            return Err(format!("{name}.wgsl: no variant"));
        };
        if rest.iter().any(|other| other != first) {
            return Err(format!(
                "{name}.wgsl: variants differ in workgroup, tile or parameters"
            ));
        }
        let size = self.add_struct(name, &first.params)?;
        self.params.insert(first.params.name.clone(), size);
        let sources: Vec<String> = variants
            .iter()
            .map(|variant| self.variant(variant))
            .collect();
        self.tiles.insert(name.to_owned(), first.tile);
        let _ = writeln!(
            self.shaders,
            "pub(crate) const {}: Shader<{}> = Shader::new(Source {{ name: {name:?}, workgroup: {}, tile: {}, \
             variants: &[{}] }});",
            name.to_uppercase(),
            first.params.name,
            first.workgroup,
            first.tile,
            sources.join(", "),
        );
        Ok(())
    }

    fn variant(&mut self, assembled: &Assembled) -> String {
        let features = FEATURES
            .iter()
            .map(|feature| format!("{feature}: {}", assembled.uses(feature)));
        let parts = assembled.parts.iter().map(|part| {
            let text = part.minified();
            let next = self.texts.len();
            let number = *self.texts.entry(text).or_insert(next);
            format!("TEXT_{number}")
        });
        let parts = parts.collect::<Vec<_>>().join(", ");
        let features = features.collect::<Vec<_>>().join(", ");
        format!("Variant {{ features: Features {{ {features} }}, parts: &[{parts}] }}")
    }

    /// Adds a struct and those inside it; its size in bytes. Two shaders may share a struct, but not a name for two.
    fn add_struct(&mut self, shader: &str, of: &Struct) -> Result<u32, String> {
        let mut size = 0;
        for field in &of.fields {
            size = size.max(field.offset + 4);
            if let Kind::Struct(inner) = &field.kind {
                let inner_size = self.add_struct(shader, inner)?;
                size = size.max(field.offset + inner_size);
            }
        }
        match self.structs.insert(of.name.clone(), of.clone()) {
            Some(other) if other != *of => Err(format!(
                "{shader}.wgsl: another shader has a different struct {}",
                of.name
            )),
            _ => Ok(size),
        }
    }

    /// Adds a table of the shaders `NAME_WIDTH`, by width.
    pub fn add_widths(&mut self, name: &str, widths: &[u32]) {
        let name = name.to_uppercase();
        let entries = widths
            .iter()
            .map(|width| format!("({width}, &{name}_{width})"));
        let _ = writeln!(
            self.shaders,
            "pub(crate) const {name}: [(usize, &Shader<AttentionParams>); {}] = [{}];",
            widths.len(),
            entries.collect::<Vec<_>>().join(", "),
        );
    }

    /// Adds constants of WGSL.
    pub fn add_constants(&mut self, constants: &[(String, u32)]) {
        for (name, value) in constants {
            let _ = writeln!(self.shaders, "pub(crate) const {name}: u32 = {value};");
        }
    }

    /// The tiles of some shaders under names of their own.
    pub fn tiles(&self, names: &[(&str, &str)]) -> Result<String, String> {
        let line = |(shader, name): &(&str, &str)| {
            let tile = self.tiles.get(*shader);
            let tile = tile.ok_or_else(|| format!("no shader {shader}, whose tile is {name}"))?;
            Ok(format!("const {name}: usize = {tile};\n"))
        };
        names.iter().map(line).collect()
    }

    /// Everything else.
    pub fn shaders(self) -> String {
        let mut all = self.shaders;
        for of in self.structs.values() {
            all.push_str(&declaration(of));
        }
        for (name, size) in &self.params {
            all.push_str(&encoding(&self.structs[name], *size));
        }
        for (text, number) in self.texts {
            let _ = writeln!(all, "const TEXT_{number}: &str = {text:?};");
        }
        all
    }
}

/// The Rust struct with the fields of a WGSL one, without the field that the launcher sets.
fn declaration(of: &Struct) -> String {
    let mut text = format!(
        "#[derive(Clone, Copy, Debug, Default)]\npub(crate) struct {} {{\n",
        of.name
    );
    for field in of.fields.iter().filter(|field| field.name != GROUPS_X) {
        let kind = match &field.kind {
            Kind::U32 => "u32",
            Kind::F32 => "f32",
            Kind::Struct(inner) => &inner.name,
        };
        let _ = writeln!(text, "    pub {}: {kind},", field.name);
    }
    text + "}\n"
}

/// The field that holds the number of workgroups along x.
const GROUPS_X: &str = "groups_x";

/// The implementation of `Params`: each field at its WGSL offset, in words.
fn encoding(of: &Struct, size: u32) -> String {
    let n_words = size.next_multiple_of(UNIFORM_ALIGNMENT) / 4;
    let mut words = vec!["0".to_owned(); n_words as usize];
    put(of, 0, "self", &mut words);
    let argument = match words.iter().any(|word| word == GROUPS_X) {
        true => GROUPS_X,
        false => "_",
    };
    format!(
        "impl Params for {} {{\n    fn words(&self, {argument}: u32) -> Vec<u32> {{\n        vec![{}]\n    }}\n}}\n",
        of.name,
        words.join(", ")
    )
}

fn put(of: &Struct, offset: u32, path: &str, words: &mut [String]) {
    for field in &of.fields {
        let offset = offset + field.offset;
        let path = format!("{path}.{}", field.name);
        let word = &mut words[offset as usize / 4];
        match &field.kind {
            Kind::U32 if field.name == GROUPS_X => GROUPS_X.clone_into(word),
            Kind::U32 => *word = path,
            Kind::F32 => *word = format!("{path}.to_bits()"),
            Kind::Struct(inner) => put(inner, offset, &path, words),
        }
    }
}
