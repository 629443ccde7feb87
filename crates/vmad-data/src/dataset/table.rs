//! CSV files with a line of column names.

use super::folder::read_text;
use crate::error::DataError;
use csv_core::{ReadRecordResult, Reader};
use std::path::{Path, PathBuf};

/// More columns than any list that is read has.
const MAX_COLUMNS: usize = 64;

/// The lines of a CSV file.
///
/// Invariant: every line has as many fields as the first, which names the columns.
pub(super) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    lines: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file. Fields may be quoted; space around them is cut off.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = read_text(path)?;
        let invalid = |what: String| DataError::Invalid {
            path: path.to_owned(),
            what,
        };
        let mut lines = parse(&bytes).map_err(invalid)?.into_iter();
        let columns = lines.next().unwrap_or_default();
        let lines: Vec<_> = lines.collect();
        if let Some((at, line)) =
            (lines.iter().enumerate()).find(|(_, line)| line.len() != columns.len())
        {
            return Err(invalid(format!(
                "line {}: {} fields, but the first line has {}",
                at + 2,
                line.len(),
                columns.len()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            columns,
            lines,
        })
    }

    /// The named columns of every line, in the order of `names`.
    pub fn select<const N: usize>(&self, names: [&str; N]) -> Result<Vec<[&str; N]>, DataError> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            let found = self.columns.iter().position(|column| column == name);
            *place = found.ok_or_else(|| DataError::Invalid {
                path: self.path.clone(),
                what: format!(
                    "no column {name:?} among {:?}; it needs {}",
                    self.columns,
                    names.join(", ")
                ),
            })?;
        }
        let lines = self.lines.iter();
        Ok(lines
            .map(|line| places.map(|place| line.get(place).map_or("", String::as_str)))
            .collect())
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader::new();
    // A field is never longer than what it is read from.
    let mut text = vec![0; rest.len()];
    let mut ends = [0; MAX_COLUMNS];
    let (mut n_text, mut n_ends) = (0, 0);
    let mut lines = Vec::new();
    loop {
        let (result, n_read, n_written, n_ended) =
            reader.read_record(rest, &mut text[n_text..], &mut ends[n_ends..]);
        rest = &rest[n_read..];
        n_text += n_written;
        n_ends += n_ended;
        match result {
            // Read on, at last with nothing, which ends the file.
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::End => return Ok(lines),
            ReadRecordResult::Record => {
                let mut start = 0;
                let fields = ends[..n_ends].iter().map(|end| {
                    let field = text[start..*end].to_vec();
                    start = *end;
                    String::from_utf8(field).map(|field| field.trim().to_owned())
                });
                let line = fields
                    .collect::<Result<_, _>>()
                    .map_err(|error| format!("line {}: {error}", lines.len() + 1))?;
                lines.push(line);
                (n_text, n_ends) = (0, 0);
            }
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                return Err(format!(
                    "line {}: more than {MAX_COLUMNS} columns",
                    lines.len() + 1
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_fields() {
        for (text, expected) in [
            ("", &[][..]),
            ("a,b\n1,2\n", &[&["a", "b"][..], &["1", "2"]]),
            ("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("\u{feff}a,b\n\n 1 , \n", &[&["a", "b"], &["1", ""]]),
            ("a,b\n\"x, y\",\"\"\"\"\n", &[&["a", "b"], &["x, y", "\""]]),
            ("a\n\"x\ny\"\n", &[&["a"], &["x\ny"]]),
            ("a\n\"open\n", &[&["a"], &["open"]]),
            ("a,b\n1\n", &[&["a", "b"], &["1"]]),
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap_or_default(),
                expected,
                "{text:?}"
            );
        }
        let wide = ",".repeat(MAX_COLUMNS);
        for (bytes, expected) in [
            (wide.as_bytes(), "line 1: more than 64 columns"),
            (b"a\n\xff\n", "line 2: invalid utf-8"),
        ] {
            let error = parse(bytes).err().unwrap_or_default();
            assert!(error.contains(expected), "{error}");
        }
    }
}
