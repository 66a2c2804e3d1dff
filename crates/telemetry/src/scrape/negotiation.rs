//! Which of the things that a client takes it gets.
//!
//! There is always something: a client that takes none of the formats gets text, as every exporter
//! of Prometheus has it.

use crate::exposition::ExpositionFormat;

/// How a page is encoded on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

/// One member of a list in a header: `name;parameter=value;q=0.5`.
struct Member<'a> {
    name: &'a str,
    parameters: &'a str,
    quality: f32,
}

/// How narrowly a range was put; the narrowest that a format is in counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Narrowness {
    Anything,
    Type,
    Exact,
}

const OPENMETRICS: &str = "application/openmetrics-text";
const PROTOBUF: &str = "application/vnd.google.protobuf";
const MESSAGE: &str = "io.prometheus.client.MetricFamily";

/// In the order of our own liking, where a client likes several of them the same.
const FORMATS: [ExpositionFormat; 4] = [
    ExpositionFormat::Text,
    ExpositionFormat::OpenMetrics,
    ExpositionFormat::OpenMetricsDraft,
    ExpositionFormat::Protobuf,
];

/// The format for what a client says it accepts.
pub(super) fn format<'a>(accept: impl Iterator<Item = &'a str>) -> ExpositionFormat {
    let members: Vec<Member<'_>> = accept.flat_map(members).collect();
    let mut best = (0.0, usize::MAX, ExpositionFormat::Text);
    for format in FORMATS {
        let places = members.iter().enumerate();
        let matching = places.filter_map(|(place, member)| {
            Some((member.narrowness(format)?, place, member.quality))
        });
        // Of those that are put the same, the first one.
        let Some((_, place, quality)) =
            matching.max_by_key(|(narrowness, place, _)| (*narrowness, std::cmp::Reverse(*place)))
        else {
            continue;
        };
        if quality > best.0 || (quality == best.0 && quality > 0.0 && place < best.1) {
            best = (quality, place, format);
        }
    }
    best.2
}

/// The encoding for what a client says it accepts.
pub(super) fn encoding<'a>(accept: impl Iterator<Item = &'a str>) -> Encoding {
    let members: Vec<Member<'_>> = accept.flat_map(members).collect();
    let named = |name: &str| members.iter().find(|it| it.name.eq_ignore_ascii_case(name));
    let gzip = named("gzip").or_else(|| named("x-gzip")).or_else(|| named("*"));
    match gzip {
        Some(gzip) if gzip.quality > 0.0 => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

/// The members of a list. A comma or semicolon inside quotes parts nothing.
fn members(list: &str) -> impl Iterator<Item = Member<'_>> {
    parts(list, ',').map(|member| {
        let (name, parameters) = member.split_once(';').unwrap_or((member, ""));
        let quality = parameter(parameters, "q").map_or(1.0, |quality| {
            quality.parse::<f32>().ok().filter(|it| (0.0..=1.0).contains(it)).unwrap_or(0.0)
        });
        Member { name: name.trim(), parameters, quality }
    })
}

fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = text.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parts(parameters, ';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

// === impl Member ===

impl Member<'_> {
    /// How narrowly this asks for `format`; none if it does not. Parameters that say nothing about
    /// which format it is, such as how names are to be escaped, are read over: no name here needs
    /// to be.
    fn narrowness(&self, format: ExpositionFormat) -> Option<Narrowness> {
        let (kind, version) = match format {
            ExpositionFormat::Text => ("text/plain", Some("0.0.4")),
            ExpositionFormat::OpenMetrics => (OPENMETRICS, Some("1.0.0")),
            ExpositionFormat::OpenMetricsDraft => (OPENMETRICS, Some("0.0.1")),
            ExpositionFormat::Protobuf => (PROTOBUF, None),
        };
        if self.name == "*/*" {
            return Some(Narrowness::Anything);
        }
        let (family, _) = kind.split_once('/')?;
        if self.name.strip_suffix("/*").is_some_and(|it| it.eq_ignore_ascii_case(family)) {
            return Some(Narrowness::Type);
        }
        let is_asked_for = |name, value| parameter(self.parameters, name) == Some(value);
        let asked = match version {
            Some(version) => parameter(self.parameters, "version").is_none_or(|it| it == version),
            None => is_asked_for("proto", MESSAGE) && is_asked_for("encoding", "delimited"),
        };
        (self.name.eq_ignore_ascii_case(kind) && asked).then_some(Narrowness::Exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = "application/vnd.google.protobuf;\
        proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn format(accept: &str) -> ExpositionFormat {
        super::format(std::iter::once(accept))
    }

    #[test]
    fn prometheus_gets_what_it_likes_best() {
        let text = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(format(text), ExpositionFormat::OpenMetrics);
        assert_eq!(format(&format!("{PROTO};q=0.6,{text}")), ExpositionFormat::Protobuf);
        let old = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,\
            */*;q=0.1";
        assert_eq!(format(old), ExpositionFormat::OpenMetricsDraft);
        let only_text = "text/plain;version=0.0.4;q=0.5,*/*;q=0.4";
        assert_eq!(format(only_text), ExpositionFormat::Text);
    }

    #[test]
    fn everybody_else_gets_text_unless_they_ask() {
        for (accept, expected) in [
            ("", ExpositionFormat::Text),
            ("*/*", ExpositionFormat::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", ExpositionFormat::Text),
            ("text/*", ExpositionFormat::Text),
            ("application/json", ExpositionFormat::Text),
            ("text/plain;version=1.0.0", ExpositionFormat::Text),
            ("application/*", ExpositionFormat::OpenMetrics),
            ("application/openmetrics-text", ExpositionFormat::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", ExpositionFormat::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", ExpositionFormat::Text),
            ("application/openmetrics-text;q=0", ExpositionFormat::Text),
            ("*/*, application/openmetrics-text;q=0", ExpositionFormat::Text),
            ("text/plain;q=0, */*", ExpositionFormat::OpenMetrics),
            ("text/plain;q=0.5, application/openmetrics-text", ExpositionFormat::OpenMetrics),
            ("text/plain, application/openmetrics-text", ExpositionFormat::Text),
            ("application/openmetrics-text, text/plain", ExpositionFormat::OpenMetrics),
            ("application/openmetrics-text;q=2, text/plain;q=0.1", ExpositionFormat::Text),
            ("application/vnd.google.protobuf", ExpositionFormat::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=text",
                ExpositionFormat::Text,
            ),
            (
                "application/vnd.google.protobuf; proto=\"io.prometheus.client.MetricFamily\"; \
                 encoding=\"delimited\"; escaping=underscores",
                ExpositionFormat::Protobuf,
            ),
            (",;=,\";q=", ExpositionFormat::Text),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let accept = ["text/plain;q=0.1", PROTO];
        assert_eq!(super::format(accept.into_iter()), ExpositionFormat::Protobuf);
    }

    #[test]
    fn pages_are_compressed_for_those_who_can_read_them() {
        for (accept, expected) in [
            ("", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("deflate, GZIP;q=0.5", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("*", Encoding::Gzip),
            ("*;q=0", Encoding::Identity),
            ("gzip;q=0, *", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("br, zstd", Encoding::Identity),
        ] {
            assert_eq!(encoding(std::iter::once(accept)), expected, "{accept}");
        }
    }
}
