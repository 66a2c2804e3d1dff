//! Expressions that have the type they are asked for, made of bytes: so shorter bytes are a simpler
//! expression, and the same bytes the same.

/// What is still to be decided.
pub(crate) struct Entropy<'b> {
    bytes: std::slice::Iter<'b, u8>,
    parts: Parts,
}

/// What the parts of an expression are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parts {
    /// Of the type that fits.
    Right,
    /// Of another, now and then.
    SometimesWrong,
}

/// What an expression is to be. Nothing in it is dyn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    Bool,
    Int,
    Double,
    Text,
    Ints,
    Texts,
    Map,
}

const TYPES: [Type; 7] =
    [Type::Bool, Type::Int, Type::Double, Type::Text, Type::Ints, Type::Texts, Type::Map];

// === impl Entropy ===

impl<'b> Entropy<'b> {
    pub(crate) fn new(bytes: &'b [u8], parts: Parts) -> Self {
        Self { bytes: bytes.iter(), parts }
    }

    /// One of so many; the first where nothing is left to decide.
    fn one_of(&mut self, count: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte) % count)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.one_of(of.len())]
    }

    /// An expression of that type. `depth` is how many levels it may have below.
    pub(crate) fn expression(&mut self, of: Type, depth: usize) -> String {
        let Some(depth) = depth.checked_sub(1) else { return self.literal(of).to_owned() };
        let templates = templates(of);
        let (template, holes) = templates[self.one_of(templates.len())];
        let mut parts = template.split('#');
        let mut made = parts.next().unwrap_or_default().to_owned();
        for (hole, part) in holes.iter().zip(parts) {
            let is_wrong = matches!(self.parts, Parts::SometimesWrong) && self.one_of(8) == 7;
            let hole = if is_wrong { TYPES[self.one_of(TYPES.len())] } else { *hole };
            made.push_str(&self.expression(hole, depth));
            made.push_str(part);
        }
        made
    }

    fn literal(&mut self, of: Type) -> &'static str {
        match of {
            Type::Bool => self.pick(&["true", "false"]),
            Type::Int => {
                self.pick(&["0", "1", "-1", "9223372036854775807", "-9223372036854775808"])
            }
            Type::Double => {
                self.pick(&["0.0", "-0.5", "1e308", "5e-324", "1.0 / 0.0", "0.0 / 0.0"])
            }
            Type::Text => {
                self.pick(&["''", "'a'", "'ä😀'", "'%s%d'", "'a.b/c:1'", "'\\u0000'", "'('"])
            }
            Type::Ints => self.pick(&["[1]", "[1, 2, 3]", "[0].filter(x, x > 0)"]),
            Type::Texts => self.pick(&["['a']", "['a', '', 'ä']", "'a,b'.split(',')"]),
            Type::Map => self.pick(&["{'a': 1}", "{'a': 1, 'b': 2}", "{'': 0}"]),
        }
    }
}

/// Forms of an expression, each with what goes into its holes (`#`).
fn templates(of: Type) -> &'static [(&'static str, &'static [Type])] {
    use Type::{Bool, Double, Int, Ints, Map, Text, Texts};
    match of {
        Bool => &[
            ("(# && #)", &[Bool, Bool]),
            ("(# || #)", &[Bool, Bool]),
            ("!#", &[Bool]),
            ("(# == #)", &[Map, Map]),
            ("(# < #)", &[Int, Int]),
            ("(# >= #)", &[Double, Double]),
            ("(# != #)", &[Text, Text]),
            ("(# in #)", &[Int, Ints]),
            ("(# in #)", &[Text, Map]),
            ("#.all(x, x > #)", &[Ints, Int]),
            ("#.exists(x, x == #)", &[Texts, Text]),
            ("#.exists_one(k, k == #)", &[Map, Text]),
            ("#.contains(#)", &[Text, Text]),
            ("#.matches(#)", &[Text, Text]),
            ("(# ? # : #)", &[Bool, Bool, Bool]),
            ("isQuantity(#)", &[Text]),
            ("sets.contains(#, #)", &[Ints, Ints]),
            ("#.isSorted()", &[Texts]),
        ],
        Int => &[
            ("(# + #)", &[Int, Int]),
            ("(# * #)", &[Int, Int]),
            ("(# / #)", &[Int, Int]),
            ("(# % #)", &[Int, Int]),
            ("-(#)", &[Int]),
            ("size(#)", &[Text]),
            ("#.size()", &[Ints]),
            ("int(#)", &[Double]),
            ("int(#)", &[Text]),
            ("#[#]", &[Ints, Int]),
            ("#[#]", &[Map, Text]),
            ("#.indexOf(#)", &[Text, Text]),
            ("#.sum()", &[Ints]),
            ("#[?#].orValue(#)", &[Ints, Int, Int]),
            ("cel.bind(x, #, x + x)", &[Int]),
            ("math.greatest(#, #)", &[Int, Int]),
        ],
        Double => &[
            ("(# - #)", &[Double, Double]),
            ("(# / #)", &[Double, Double]),
            ("double(#)", &[Int]),
            ("double(#)", &[Text]),
            ("math.round(#)", &[Double]),
            ("math.sqrt(#)", &[Double]),
            ("quantity(#).asApproximateFloat()", &[Text]),
        ],
        Text => &[
            ("(# + #)", &[Text, Text]),
            ("string(#)", &[Int]),
            ("string(#)", &[Double]),
            ("#.replace(#, #)", &[Text, Text, Text]),
            ("#.join(#)", &[Texts, Text]),
            ("#.substring(#)", &[Text, Int]),
            ("#.charAt(#)", &[Text, Int]),
            ("'%s %s'.format([#, #])", &[Text, Text]),
            ("#.upperAscii()", &[Text]),
            ("base64.encode(bytes(#))", &[Text]),
            ("#[#]", &[Texts, Int]),
            ("regex.replace(#, #, #)", &[Text, Text, Text]),
            ("json.marshal(#)", &[Map]),
            ("md5(#)", &[Text]),
        ],
        Ints => &[
            ("[#, #]", &[Int, Int]),
            ("(# + #)", &[Ints, Ints]),
            ("#.map(x, x + #)", &[Ints, Int]),
            ("#.filter(x, x < #)", &[Ints, Int]),
            ("#.transformList(i, x, i + x)", &[Ints]),
            ("#.sort()", &[Ints]),
            ("#.distinct()", &[Ints]),
            ("#.map(x, size(x))", &[Texts]),
            ("lists.range(#)", &[Int]),
            ("#.slice(#, #)", &[Ints, Int, Int]),
        ],
        Texts => &[
            ("[#, #]", &[Text, Text]),
            ("#.split(#)", &[Text, Text]),
            ("#.map(x, x + #)", &[Texts, Text]),
            ("#.map(k, k)", &[Map]),
            ("#.sortBy(x, size(x))", &[Texts]),
            ("#.reverse()", &[Texts]),
            ("#.findAll(#)", &[Text, Text]),
            ("regex.extractAll(#, #)", &[Text, Text]),
        ],
        Map => &[
            ("{#: #, #: #}", &[Text, Int, Text, Int]),
            ("#.transformMap(k, v, v + #)", &[Map, Int]),
            ("(# ? # : #)", &[Bool, Map, Map]),
        ],
    }
}
