//! `kyverno.image`: references of container images.

use std::any::Any;

use super::super::Library;
use super::super::arguments::{error, opaque, text};
use super::super::kubernetes::is_authority;
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Opaque, Value};

const TYPE: Type = Type::Opaque("kyverno.image");
/// The registry of images that name none.
const DEFAULT_REGISTRY: &str = "index.docker.io";
/// No reference is longer: a registry, a repository, a tag and a digest.
const MAX_LENGTH: usize = 1 << 10;

/// A reference as a value. Two are equal only if they are written the same.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    registry: String,
    repository: String,
    /// The tag that is written; `latest` if none is and there is no digest.
    tag: String,
    digest: Option<String>,
    written: String,
}

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    for name in ["image", "parseImageReference"] {
        library.global(name, [Type::String], TYPE, |host, arguments| {
            Ok(Value::opaque(parse(host, arguments)?))
        });
    }
    library.global("isImage", [Type::String], Type::Bool, |host, arguments| {
        match parse(host, arguments) {
            Ok(_) => Ok(Value::Bool(true)),
            Err(Fault::Error(_)) => Ok(Value::Bool(false)),
            Err(exhausted) => Err(exhausted),
        }
    });
    library.member("containsDigest", [TYPE], Type::Bool, |_, arguments| {
        Ok(Value::Bool(opaque::<Image>(arguments, 0)?.digest.is_some()))
    });
    let parts: [(_, super::super::Call); 6] = [
        ("registry", |host, arguments| part(host, arguments, |image| image.registry.clone())),
        ("repository", |host, arguments| part(host, arguments, |image| image.repository.clone())),
        ("tag", |host, arguments| part(host, arguments, |image| image.tag.clone())),
        ("digest", |host, arguments| {
            part(host, arguments, |image| image.digest.clone().unwrap_or_default())
        }),
        ("identifier", |host, arguments| part(host, arguments, Image::identifier)),
        ("identifierWithSeparator", |host, arguments| {
            part(host, arguments, |image| match &image.digest {
                Some(digest) => format!("@{digest}"),
                None => format!(":{}", image.tag),
            })
        }),
    ];
    for (name, call) in parts {
        library.member(name, [TYPE], Type::String, call);
    }
}

fn part<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    of: fn(&Image) -> String,
) -> Result<Value<'a>, Fault> {
    let part = of(opaque(arguments, 0)?);
    host.meter.allocate(part.len())?;
    Ok(Value::string(part))
}

fn parse(host: &Host<'_>, arguments: &[Value<'_>]) -> Result<Image, Fault> {
    let written = text(arguments, 0)?;
    host.meter.scan(written.len())?;
    host.meter.allocate(2 * written.len().min(MAX_LENGTH))?;
    let malformed = || error(format!("could not parse reference: {written}"));
    if written.len() > MAX_LENGTH {
        return Err(error("a reference of an image is shorter"));
    }
    Image::parse(written).ok_or_else(malformed)
}

// === impl Image ===

impl Image {
    fn parse(written: &str) -> Option<Self> {
        let (base, digest) = match written.split_once('@') {
            None => (written, None),
            Some((base, digest)) => {
                let digits = digest.strip_prefix("sha256:")?;
                let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                if digits.len() != 64 || !digits.bytes().all(is_digit) {
                    return None;
                }
                (base, Some(digest.to_owned()))
            }
        };
        let (name, tag) = match base.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (base, None),
        };
        let is_of_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if tag.is_some_and(|tag| !(1..=128).contains(&tag.len()) || !tag.bytes().all(is_of_tag)) {
            return None;
        }
        let (registry, repository) = match name.split_once('/') {
            Some((registry, rest)) if registry == "localhost" || registry.contains(['.', ':']) => {
                (registry, rest)
            }
            _ => ("", name),
        };
        let is_of_repository = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-./".contains(&byte)
        };
        let valid = (2..=255).contains(&repository.len())
            && repository.bytes().all(is_of_repository)
            && is_authority(registry);
        if !valid {
            return None;
        }
        let registry = match registry {
            "" | "docker.io" => DEFAULT_REGISTRY,
            registry => registry,
        };
        let of_library = registry == DEFAULT_REGISTRY && !repository.contains('/');
        let tag = match (tag, &digest) {
            (None, None) => "latest",
            (tag, _) => tag.unwrap_or_default(),
        };
        Some(Self {
            registry: registry.to_owned(),
            repository: if of_library {
                format!("library/{repository}")
            } else {
                repository.to_owned()
            },
            tag: tag.to_owned(),
            digest,
            written: written.to_owned(),
        })
    }

    fn identifier(&self) -> String {
        match &self.digest {
            None => self.tag.clone(),
            Some(digest) if self.tag.is_empty() => digest.clone(),
            Some(digest) => format!("{}@{digest}", self.tag),
        }
    }
}

impl Opaque for Image {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::{bool_of, error_of, text_of, value};
    use crate::cel::value::Value;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn parts(written: &str) -> [String; 5] {
        ["registry", "repository", "tag", "digest", "identifier"].map(|name| {
            let image = value("image", &[Value::string(written)]);
            text_of(name, &[image])
        })
    }

    #[test]
    fn the_parts_of_a_reference_are_told() {
        assert_eq!(parts("nginx"), ["index.docker.io", "library/nginx", "latest", "", "latest"]);
        assert_eq!(parts("docker.io/a/b:1"), ["index.docker.io", "a/b", "1", "", "1"]);
        assert_eq!(
            parts("ghcr.io/kyverno/kyverno:v1"),
            ["ghcr.io", "kyverno/kyverno", "v1", "", "v1"]
        );
        assert_eq!(parts("localhost/ab"), ["localhost", "ab", "latest", "", "latest"]);
        assert_eq!(parts("r:5000/a/b"), ["r:5000", "a/b", "latest", "", "latest"]);
        let digest = format!("r:5000/ab@{DIGEST}");
        assert_eq!(parts(&digest), ["r:5000", "ab", "", DIGEST, DIGEST]);
        let both = format!("nginx:1.2@{DIGEST}");
        let identifier = format!("1.2@{DIGEST}");
        assert_eq!(parts(&both), ["index.docker.io", "library/nginx", "1.2", DIGEST, &identifier]);

        let image = |written: &str| value("parseImageReference", &[Value::string(written)]);
        assert!(bool_of("containsDigest", &[image(&both)]));
        assert!(!bool_of("containsDigest", &[image("nginx")]));
        assert_eq!(text_of("identifierWithSeparator", &[image(&both)]), format!("@{DIGEST}"));
        assert_eq!(text_of("identifierWithSeparator", &[image("nginx")]), ":latest");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a".repeat(256);
        let refused = ["", "a", "Nginx", "nginx:", "nginx:a b", "nginx@sha256:abc", "a..b:c/d@x"];
        for written in
            refused.into_iter().chain([long.as_str(), "ex ample.com/ab", "r:x/ab", "ab@", "ab@@"])
        {
            assert!(!bool_of("isImage", &[Value::string(written)]), "{written}");
            error_of("image", &[Value::string(written)]);
        }
        assert!(bool_of("isImage", &[Value::string("[::1]:5000/ab")]));
    }
}
