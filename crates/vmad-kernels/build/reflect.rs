//! What naga knows about an assembled shader.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, Expression, Handle, Literal, Module, Scalar, ScalarKind, StorageAccess, Type,
    TypeInner,
};

use crate::assemble::Assembled;

/// What Rust has to know about a shader.
#[derive(PartialEq, Eq)]
pub struct Reflected {
    /// Threads of a workgroup.
    pub workgroup: u32,
    /// `TILE` or `ROWS` of the shader, else the threads of a workgroup.
    pub tile: u32,
    /// The struct of its uniform binding.
    pub params: Struct,
}

/// A struct of 32-bit scalars and of such structs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// In bytes, from the beginning of the struct.
    pub offset: u32,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    U32,
    F32,
    Struct(Struct),
}

/// Validates a shader, in the form that is written down and in the form that a browser gets, and reflects it.
pub fn check(name: &str, assembled: &Assembled) -> Result<Reflected, String> {
    // On the first line, so that lines keep their numbers.
    let directives = if assembled.uses("f16") {
        "enable f16; "
    } else {
        ""
    };
    let text = |part: fn(&crate::assemble::Part) -> String| -> String {
        let parts = assembled.parts.iter().map(part);
        directives.to_owned() + &parts.collect::<String>()
    };
    let (module, info) = validated(assembled, &text(|part| part.text.clone()))?;
    let minified = text(|part| part.minified());
    if minified.contains("{{") || minified.contains("}}") {
        return Err(format!(
            "{name}.wgsl: doubled braces are placeholders of burn's template engine"
        ));
    }
    validated(assembled, &minified).map_err(|error| format!("{name}.wgsl, minified: {error}"))?;
    reflect(name, &module, &info)
}

fn validated(assembled: &Assembled, source: &str) -> Result<(Module, ModuleInfo), String> {
    let located = |line: u32, error: &dyn std::fmt::Display, shown: String| {
        format!("{}: {error}\n{shown}", assembled.origin(line))
    };
    let module = naga::front::wgsl::parse_str(source).map_err(|error| {
        let line = error.location(source).map_or(1, |at| at.line_number);
        located(line, &error, error.emit_to_string(source))
    })?;
    // unpack2x16float is in core WebGPU; naga lists it as a capability because old GL lacks it.
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    capabilities.set(Capabilities::SUBGROUP, assembled.uses("subgroups"));
    capabilities.set(Capabilities::SHADER_FLOAT16, assembled.uses("f16"));
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| {
            let line = error.location(source).map_or(1, |at| at.line_number);
            located(line, &error, error.emit_to_string(source))
        })?;
    Ok((module, info))
}

fn reflect(name: &str, module: &Module, info: &ModuleInfo) -> Result<Reflected, String> {
    let [entry] = module.entry_points.as_slice() else {
        return Err(format!("{name}.wgsl: exactly one entry point is allowed"));
    };
    if entry.name != "main" {
        return Err(format!("{name}.wgsl: the entry point must be called main"));
    }
    let reached = info.get_entry_point(0);
    let mut params = None;
    for (handle, variable) in module.global_variables.iter() {
        if variable.binding.is_none() {
            continue;
        }
        let label = variable.name.as_deref().unwrap_or("?");
        // The pipeline layout is derived from use: an unused binding shifts all others.
        if reached[handle].is_empty() {
            return Err(format!("{name}.wgsl: binding {label} is never used"));
        }
        match variable.space {
            // Input and output can share a page, which a read-only binding forbids.
            AddressSpace::Storage { access }
                if access != (StorageAccess::LOAD | StorageAccess::STORE) =>
            {
                return Err(format!("{name}.wgsl: binding {label} must be read_write"));
            }
            AddressSpace::Uniform => {
                let of = structure(module, variable.ty)
                    .map_err(|reason| format!("{name}.wgsl: binding {label}: {reason}"))?;
                params = Some(of);
            }
            _ => {}
        }
    }
    let workgroup = entry.workgroup_size.iter().product();
    if workgroup > 256 {
        return Err(format!(
            "{name}.wgsl: {workgroup} threads per workgroup; WebGPU guarantees 256"
        ));
    }
    let tile = constant(module, "TILE").or_else(|| constant(module, "ROWS"));
    Ok(Reflected {
        workgroup,
        tile: tile.unwrap_or(workgroup),
        params: params.ok_or_else(|| format!("{name}.wgsl: no uniform binding"))?,
    })
}

fn structure(module: &Module, ty: Handle<Type>) -> Result<Struct, String> {
    let ty = &module.types[ty];
    let (Some(name), TypeInner::Struct { members, .. }) = (&ty.name, &ty.inner) else {
        return Err("parameters must be a named struct".to_owned());
    };
    let field = |member: &naga::StructMember| {
        let label = member.name.clone().unwrap_or_default();
        let kind = match &module.types[member.ty].inner {
            TypeInner::Scalar(Scalar {
                kind: ScalarKind::Uint,
                width: 4,
            }) => Kind::U32,
            TypeInner::Scalar(Scalar {
                kind: ScalarKind::Float,
                width: 4,
            }) => Kind::F32,
            TypeInner::Struct { .. } => Kind::Struct(structure(module, member.ty)?),
            other => {
                return Err(format!(
                    "{name}.{label} must be u32, f32 or a struct, is {other:?}"
                ));
            }
        };
        Ok(Field {
            name: label,
            offset: member.offset,
            kind,
        })
    };
    Ok(Struct {
        name: name.clone(),
        fields: members.iter().map(field).collect::<Result<_, _>>()?,
    })
}

fn constant(module: &Module, name: &str) -> Option<u32> {
    let (_, constant) = module
        .constants
        .iter()
        .find(|(_, constant)| constant.name.as_deref() == Some(name))?;
    value(module, constant)
}

fn value(module: &Module, constant: &naga::Constant) -> Option<u32> {
    match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(value)) => Some(value),
        _ => None,
    }
}

/// The constants of a file, all of which must be u32.
pub fn constants(file: &str, source: &str) -> Result<Vec<(String, u32)>, String> {
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|error| format!("{file}: {error}\n{}", error.emit_to_string(source)))?;
    let named = module.constants.iter().map(|(_, constant)| {
        let name = constant.name.clone().unwrap_or_default();
        let value = value(&module, constant);
        let value = value.ok_or_else(|| format!("{file}: {name} must be a u32 literal"))?;
        Ok((name, value))
    });
    named.collect()
}
