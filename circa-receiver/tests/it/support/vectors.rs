//! The cases of `tests/vectors/cases.json`, as data.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use circa_receiver::{Secret, SecretError, Secrets, Verifier};
use serde::Deserialize;

const CASES: &str = include_str!("../../vectors/cases.json");

/// One case; a field or a value that is not known here fails the reading, so that no rule in the
/// data goes unheard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "receiver"), expect(dead_code, reason = "for a whole receiver"))]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) layer: Layer,
    pub(crate) sender: Sender,
    pub(crate) now: i64,
    pub(crate) secrets: Vec<Octets>,
    pub(crate) tolerance_seconds: Option<u64>,
    pub(crate) mode: Option<Mode>,
    pub(crate) method: Option<String>,
    pub(crate) headers: Vec<(String, Octets)>,
    body_base64: Option<String>,
    pub(crate) body: Option<Generated>,
    pub(crate) expect: Expect,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    Signature,
    Event,
    Mac,
    Config,
    Http,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sender {
    Circa,
    Circularo,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Any,
    Live,
    Test,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Octets {
    Text(String),
    Base64(Base64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base64 {
    base64: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generated {
    repeat: Repeat,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Repeat {
    prefix: String,
    unit: String,
    count: usize,
    suffix_unit: String,
    suffix_count: usize,
    suffix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "receiver"), expect(dead_code, reason = "for a whole receiver"))]
pub(crate) struct Expect {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) or_reason: OrReason,
    pub(crate) status: Option<u16>,
}

/// One more reason that is as good, or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OrReason {
    One(String),
    Several(Vec<String>),
}

impl Default for OrReason {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Accept,
    Ignored,
    Reject,
    RefusedAtBuild,
}

impl Octets {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64(Base64 { base64 }) => BASE64.decode(base64).unwrap(),
        }
    }
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        serde_json::from_str(CASES).unwrap()
    }

    pub(crate) fn body(&self) -> Bytes {
        match (&self.body_base64, &self.body) {
            (Some(base64), None) => BASE64.decode(base64).unwrap().into(),
            (None, Some(Generated { repeat })) => [
                repeat.prefix.clone(),
                repeat.unit.repeat(repeat.count),
                repeat.suffix_unit.repeat(repeat.suffix_count),
                repeat.suffix.clone(),
            ]
            .concat()
            .into(),
            _ => panic!("{}: a case has one body", self.id),
        }
    }

    pub(crate) fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (name.clone(), value.bytes())).collect()
    }

    pub(crate) fn secrets(&self) -> Result<Secrets, SecretError> {
        let secrets = self.secrets.iter().map(|secret| match self.layer {
            Layer::Mac => Secret::dangerous_unchecked(secret.bytes()),
            Layer::Signature | Layer::Event | Layer::Http | Layer::Config => Secret::new(secret.bytes()),
        });
        Secrets::new(secrets.collect::<Result<Vec<_>, _>>()?)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let secrets = self.secrets().unwrap();
        let verifier = match self.sender {
            Sender::Circa => Verifier::circa(secrets),
            Sender::Circularo => Verifier::circularo(secrets),
        };
        match self.tolerance_seconds {
            Some(seconds) => verifier.tolerance(std::time::Duration::from_secs(seconds)).unwrap(),
            None => verifier,
        }
    }

    /// `None` if this is the refusal that the case wants.
    pub(crate) fn wrong_reason(&self, reason: &str) -> Option<String> {
        let others = match &self.expect.or_reason {
            OrReason::One(other) => std::slice::from_ref(other),
            OrReason::Several(others) => others,
        };
        let wanted = self.expect.reason.as_deref().expect("a refusal has a reason");
        let as_good = reason == wanted || others.iter().any(|other| other == reason);
        (!as_good).then(|| format!("refused as {reason}, not as {wanted}"))
    }
}

/// Runs the cases of some layers, prints those that fail, by id, and tells how many were run.
pub(crate) fn run(layers: &[Layer], check: impl Fn(&Case) -> Result<(), String>) -> usize {
    let cases = Case::all();
    let cases: Vec<_> = cases.iter().filter(|case| layers.contains(&case.layer)).collect();
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|error| format!("{} ({}): {error}", case.id, case.what)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
    cases.len()
}
