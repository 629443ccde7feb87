//! The rules that read answers, on the answers that training teaches: they must find what is there.

use vmad_data::{DefectKind, Generator, QaKind, Scenes, Split};
use vmad_eval::{Claim, Judgement, Lexicon, Truth};

/// What the scene holds, in the words of its answers.
fn truth(sample: &vmad_data::Sample) -> Truth {
    let defects = &sample.defects;
    Truth {
        is_defective: !defects.is_empty(),
        kinds: defects.iter().map(|d| d.kind.name().to_owned()).collect(),
        places: defects
            .iter()
            .map(|d| d.location.name().to_owned())
            .collect(),
        size: defects
            .iter()
            .map(|d| d.size)
            .max()
            .map(|size| size.name().to_owned()),
        severity: defects
            .iter()
            .map(|d| d.severity)
            .max()
            .map(|severity| severity.name().to_owned()),
    }
}

#[test]
fn every_taught_answer_is_judged_right() {
    let lexicon = Lexicon::new(DefectKind::ALL.map(DefectKind::name));
    for (split, seed) in [(Split::Train, 3), (Split::Unseen, 4)] {
        let scenes = Generator::new(seed, split, 64);
        for index in 0..150 {
            let sample = scenes.sample(index);
            let truth = truth(&sample);
            for qa in &sample.qa {
                let said = lexicon.parse(&qa.answer, &sample.object);
                let judged = Judgement::of(&said, &truth);
                let case = format!("{index} {:?}: {} {said:?} {truth:?}", qa.kind, qa.answer);
                assert_ne!(judged.false_kind, Some(true), "{case}");
                if !truth.is_defective {
                    assert_eq!(said.claim, Claim::Normal, "{case}");
                    continue;
                }
                assert_eq!(said.claim, Claim::Defective, "{case}");
                assert_eq!(judged.kind_right, Some(true), "{case}");
                assert_ne!(judged.size_right, Some(false), "{case}");
                assert_ne!(judged.severity_right, Some(false), "{case}");
                match qa.kind {
                    QaKind::Description => {
                        assert_eq!(judged.place_right, Some(true), "{case}");
                        assert_eq!(judged.size_right, Some(true), "{case}");
                        assert!(judged.object_repeated, "{case}");
                    }
                    QaKind::Impact => assert_eq!(judged.severity_right, Some(true), "{case}"),
                    QaKind::Suggestion => {}
                }
            }
        }
    }
}
