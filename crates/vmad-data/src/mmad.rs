//! Questions with choices, in the layout of MMAD (arXiv 2410.09453, jam-cc/MMAD on GitHub).
//!
//! `mmad.json` is an object from the path of an image, relative to the file, to its questions under
//! `conversation`; each has `Question`, `Options` (letter → text), `Answer` (a letter) and `type`.
//! MMAD's own file carries more, such as masks and templates for few-shot prompts, which is not read.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::dataset::folder::join_inside;
use crate::error::DataError;
use crate::files::write_whole;

/// File name of the questions.
pub const MMAD: &str = "mmad.json";

/// MMAD's own file has 40 MB.
const MAX_BYTES: u64 = 512 << 20;
const MAX_QUESTIONS: usize = 256;
const MAX_OPTIONS: usize = 26;
const MAX_TEXT_BYTES: usize = 4096;

macro_rules! subtasks {
    ($($(#[$doc:meta])* $id:ident $name:literal;)*) => {
        /// What a question is about: MMAD's seven subtasks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Subtask {
            $($(#[$doc])* $id,)*
        }

        impl Subtask {
            /// All subtasks in the order of the paper.
            pub const ALL: [Self; 7] = [$(Self::$id,)*];

            /// The name in MMAD's file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }
        }
    };
}

subtasks! {
    /// Whether there is a defect; the paper's *Anomaly Discrimination*.
    AnomalyDetection "Anomaly Detection";
    /// Which kind of defect it is.
    DefectClassification "Defect Classification";
    /// Where it is.
    DefectLocalization "Defect Localization";
    /// What it looks like.
    DefectDescription "Defect Description";
    /// What follows from it.
    DefectAnalysis "Defect Analysis";
    /// What the object is.
    ObjectClassification "Object Classification";
    /// What belongs to the object.
    ObjectAnalysis "Object Analysis";
}

impl Subtask {
    /// Reads MMAD's `type`; its two finer kinds of object analysis are taken together, as its own
    /// evaluation does.
    fn parse(name: &str) -> Option<Self> {
        match name {
            "Object Structure" | "Object Details" => Some(Self::ObjectAnalysis),
            "Anomaly Discrimination" => Some(Self::AnomalyDetection),
            _ => Self::ALL.into_iter().find(|subtask| subtask.name() == name),
        }
    }
}

/// A question and its choices. Invariant: two choices at least, and `right` is one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    subtask: Subtask,
    text: String,
    options: Vec<String>,
    right: usize,
}

impl Question {
    /// `None` where the parts make no question.
    #[must_use]
    pub fn new(subtask: Subtask, text: String, options: Vec<String>, right: usize) -> Option<Self> {
        let is_text = |text: &String| !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES;
        let holds = (2..=MAX_OPTIONS).contains(&options.len())
            && right < options.len()
            && is_text(&text)
            && options.iter().all(is_text);
        holds.then_some(Self {
            subtask,
            text,
            options,
            right,
        })
    }

    /// What it is about.
    #[must_use]
    pub fn subtask(&self) -> Subtask {
        self.subtask
    }

    /// The question.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The choices, in their order.
    #[must_use]
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// Index of the right choice.
    #[must_use]
    pub fn right(&self) -> usize {
        self.right
    }
}

/// The questions about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MmadImage {
    /// Its name in the file.
    pub name: String,
    /// The image file.
    pub path: PathBuf,
    /// Its questions.
    pub questions: Vec<Question>,
}

impl MmadImage {
    /// The data set that the image is from: the first folder of its name.
    #[must_use]
    pub fn set(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// A file of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mmad {
    /// The images in the order of the file.
    pub images: Vec<MmadImage>,
    /// Questions that cannot be asked: their answer is not among the choices, or they have none.
    pub n_left_out: usize,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(default)]
    image_path: String,
    #[serde(default)]
    conversation: Vec<EntryQuestion>,
    #[serde(default)]
    similar_templates: Vec<String>,
    #[serde(default)]
    random_templates: Vec<String>,
    #[serde(default)]
    mask_path: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EntryQuestion {
    question: String,
    answer: String,
    options: Pairs<String>,
    #[serde(rename = "type")]
    subtask: String,
    #[serde(default, rename = "annotation")]
    checked: bool,
}

/// A JSON object in its own order, without a key twice.
struct Pairs<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = std::collections::HashSet::new();
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("{key:?} occurs twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// Reads questions. Names of images are paths within the file's folder; the images are not opened.
///
/// # Errors
/// A file that cannot be read or is larger than 512 MB, JSON of another form, a path that leaves the
/// folder, a subtask that is not one of MMAD's, more than 256 questions about one image.
pub fn read_mmad(file: &Path) -> Result<Mmad, DataError> {
    let invalid = |what: String| DataError::Invalid {
        path: file.to_owned(),
        what,
    };
    let io = |source| DataError::Io {
        path: file.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(io)?;
    opened
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("has more than {MAX_BYTES} bytes")));
    }
    let entries: Pairs<Entry> =
        serde_json::from_slice(&bytes).map_err(|source| DataError::Json {
            path: file.to_owned(),
            source,
        })?;
    drop(bytes);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut mmad = Mmad {
        images: Vec::with_capacity(entries.0.len()),
        n_left_out: 0,
    };
    for (name, entry) in entries.0 {
        let path = join_inside(folder, &name)
            .ok_or_else(|| invalid(format!("path {name:?} leaves the folder")))?;
        if entry.conversation.len() > MAX_QUESTIONS {
            let n = entry.conversation.len();
            return Err(invalid(format!(
                "{name}: {n} questions, at most {MAX_QUESTIONS} are allowed"
            )));
        }
        let mut questions = Vec::with_capacity(entry.conversation.len());
        for asked in entry.conversation {
            let subtask = Subtask::parse(&asked.subtask)
                .ok_or_else(|| invalid(format!("{name}: unknown type {:?}", asked.subtask)))?;
            match asked.checked_parts(subtask) {
                Some(question) => questions.push(question),
                None => mmad.n_left_out += 1,
            }
        }
        mmad.images.push(MmadImage {
            name,
            path,
            questions,
        });
    }
    Ok(mmad)
}

impl EntryQuestion {
    fn checked_parts(self, subtask: Subtask) -> Option<Question> {
        let answer = self.answer.trim();
        let right = self
            .options
            .0
            .iter()
            .position(|(key, _)| key.trim() == answer)?;
        let options = self.options.0.into_iter().map(|(_, text)| text).collect();
        Question::new(subtask, self.question, options, right)
    }

    fn of(question: &Question) -> Self {
        let letter = |i: usize| char::from(b'A' + i as u8).to_string();
        let options = question.options.iter().enumerate();
        Self {
            question: question.text.clone(),
            answer: letter(question.right),
            options: Pairs(options.map(|(i, text)| (letter(i), text.clone())).collect()),
            subtask: question.subtask.name().to_owned(),
            checked: true,
        }
    }
}

/// An image's name, its questions, and names of normal images of its category.
pub(crate) struct Asked {
    pub name: String,
    pub questions: Vec<Question>,
    pub templates: Vec<String>,
}

/// Writes questions in MMAD's layout.
pub(crate) fn write_mmad(file: &Path, images: Vec<Asked>) -> Result<(), DataError> {
    let entries = images.into_iter().map(|image| {
        let entry = Entry {
            image_path: image.name.clone(),
            conversation: image.questions.iter().map(EntryQuestion::of).collect(),
            similar_templates: image.templates.clone(),
            random_templates: image.templates,
            mask_path: None,
        };
        (image.name, entry)
    });
    let entries = Pairs(entries.collect());
    let bytes = serde_json::to_vec(&entries).map_err(|source| DataError::Json {
        path: file.to_owned(),
        source,
    })?;
    write_whole(file, &bytes).map_err(|source| DataError::Io {
        path: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn read(text: &str) -> Result<Mmad, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(MMAD);
        std::fs::write(&file, text)?;
        Ok(read_mmad(&file)?)
    }

    /// An entry as MMAD's file has them.
    fn entry(name: &str, question: &str) -> String {
        format!(
            r#"{{"{name}": {{"image_path": "image/broken/000.png", "conversation": [{question}],
            "mask_path": "mask.png", "random_templates": ["a.png"], "similar_templates": []}}}}"#
        )
    }

    const YES: &str = r#"{"Question": "Is there any defect in the object?", "Answer": "B",
        "Options": {"B": "Yes.", "A": "No."}, "type": "Anomaly Detection", "annotation": true}"#;

    #[test]
    fn entries_are_read_in_order() -> Outcome {
        let mmad = read(&entry("DS-MVTec/bottle/image/broken/000.png", YES))?;
        let [image] = &mmad.images[..] else {
            panic!("{mmad:?}")
        };
        assert_eq!(image.set(), "DS-MVTec");
        assert!(image.path.ends_with("DS-MVTec/bottle/image/broken/000.png"));
        let [question] = &image.questions[..] else {
            panic!("{image:?}")
        };
        assert_eq!(question.subtask(), Subtask::AnomalyDetection);
        assert_eq!(
            (question.options(), question.right()),
            (&["Yes.".to_owned(), "No.".to_owned()][..], 0)
        );
        assert_eq!(mmad.n_left_out, 0);

        for (kind, subtask) in [
            ("Object Structure", Subtask::ObjectAnalysis),
            ("Object Details", Subtask::ObjectAnalysis),
            ("Defect Localization", Subtask::DefectLocalization),
        ] {
            let mmad = read(&entry("a.png", &YES.replace("Anomaly Detection", kind)))?;
            assert_eq!(mmad.images[0].questions[0].subtask(), subtask);
        }
        Ok(())
    }

    #[test]
    fn questions_without_a_right_choice_are_left_out() -> Outcome {
        for bad in [
            YES.replace(r#""Answer": "B""#, r#""Answer": "E""#),
            YES.replace(r#""B": "Yes.", "#, ""),
            YES.replace("Is there any defect in the object?", " "),
            YES.replace("Yes.", &"x".repeat(5000)),
        ] {
            let mmad = read(&entry("a.png", &format!("{YES},{bad}")))?;
            assert_eq!((mmad.images[0].questions.len(), mmad.n_left_out), (1, 1));
        }
        Ok(())
    }

    #[test]
    fn bad_files_are_refused() {
        let many = vec![YES; 257].join(",");
        for (text, part) in [
            (entry("../a.png", YES), "leaves the folder"),
            (entry("/etc/passwd", YES), "leaves the folder"),
            (entry("..\\\\b.png", YES), "leaves the folder"),
            (entry("", YES), "leaves the folder"),
            (
                entry("a.png", &YES.replace("Anomaly Detection", "Guessing")),
                "unknown type",
            ),
            (entry("a.png", &many), "257 questions"),
            (
                entry("a.png", &YES.replace("\"A\":", "\"B\":")),
                "occurs twice",
            ),
            (
                format!("{{{0},{0}}}", entry("a.png", YES).trim_matches(['{', '}'])),
                "",
            ),
            ("[]".to_owned(), "not the expected JSON"),
            ("{".to_owned(), "not the expected JSON"),
            ("[".repeat(100_000), "not the expected JSON"),
        ] {
            let error = read(&text).map(|mmad| format!("{mmad:?}"));
            let Err(error) = error else {
                panic!("{text:.80} {error:?}")
            };
            assert!(error.to_string().contains(part), "{part:?} in {error}");
        }
        assert!(read_mmad(Path::new("/nowhere/mmad.json")).is_err());
    }
}
