//! Parses the text format of Prometheus, and rejects whatever the format does not allow.

use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// A scrape: its samples, and the type of each metric family.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    pub(super) samples: Vec<Sample>,
    pub(super) families: BTreeMap<String, String>,
}

impl Exposition {
    /// The value of the one sample with this name and these labels, whatever other labels it has.
    #[track_caller]
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &Sample| {
            labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        let mut found = self.samples.iter().filter(|sample| sample.name == name && has(sample));
        let sample = found.next().unwrap_or_else(|| panic!("no {name} with {labels:?}"));
        assert!(found.next().is_none(), "more than one {name} with {labels:?}");
        sample.value
    }

    /// As [`Self::value`], for a whole number.
    #[track_caller]
    pub(super) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.value(name, labels).to_string();
        value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }
}

/// Parses a scrape.
pub(super) fn parse(text: &str) -> Result<Exposition, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let (mut read, mut help, mut seen) = (Exposition::default(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').ok_or_else(|| wrong("no help"))?;
            if text.is_empty() || !help.insert(name.to_owned()) {
                return Err(wrong("a help too few or too many"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("no type"))?;
            let is_known = ["counter", "gauge", "histogram"].contains(&kind);
            let is_named = (kind == "counter") == name.ends_with("_total");
            let is_first = read.families.insert(name.to_owned(), kind.to_owned()).is_none();
            if !is_known || !is_named || !is_first || !help.contains(name) {
                return Err(wrong("a type that is unknown, misnamed, repeated or not explained"));
            }
        } else {
            let sample = sample(line).ok_or_else(|| wrong("no sample"))?;
            let family = family(&sample.name, &read.families).ok_or_else(|| wrong("of no family"))?;
            if !is_name(&sample.name) || !sample.labels.keys().all(|label| is_name(label)) {
                return Err(wrong("a name that is none"));
            }
            if read.families[&family] == "counter" && sample.value < 0.0 {
                return Err(wrong("a counter below zero"));
            }
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(wrong("a series twice"));
            }
            read.samples.push(sample);
        }
    }
    check_histograms(&read)?;
    Ok(read)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn family(name: &str, families: &BTreeMap<String, String>) -> Option<String> {
    if families.get(name).is_some_and(|kind| kind != "histogram") {
        return Some(name.to_owned());
    }
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
    families.get(base).is_some_and(|kind| kind == "histogram").then(|| base.to_owned())
}

/// `name{label="value",…} 1.5`
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        value => value.parse().ok()?,
    };
    let Some((name, mut rest)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut labels = BTreeMap::new();
    while rest != "}" {
        let (label, after) = rest.split_once("=\"")?;
        let (text, after) = quoted(after)?;
        if labels.insert(label.to_owned(), text).is_some() {
            return None;
        }
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A quoted text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            letter => value.push(letter),
        }
    }
    None
}

/// Checks that the buckets of each histogram grow, and that the last one is the total.
fn check_histograms(read: &Exposition) -> Result<(), String> {
    let mut buckets: BTreeMap<(String, Labels), Vec<(f64, f64)>> = BTreeMap::new();
    for sample in &read.samples {
        if let Some(base) = sample.name.strip_suffix("_bucket") {
            let mut labels = sample.labels.clone();
            let bound = labels.remove("le").ok_or_else(|| format!("{} has no bound", sample.name))?;
            let bound = if bound == "+Inf" { Ok(f64::INFINITY) } else { bound.parse() };
            let bound = bound.map_err(|_| format!("{} has a bound that is no number", sample.name))?;
            buckets.entry((base.to_owned(), labels)).or_default().push((bound, sample.value));
        }
    }
    for ((base, labels), buckets) in buckets {
        let grow = buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let all = buckets.last().copied();
        let count = format!("{base}_count");
        let count = read.samples.iter().find(|sample| sample.name == count && sample.labels == labels);
        if !grow || all != count.map(|count| (f64::INFINITY, count.value)) {
            return Err(format!("the buckets of {base} {labels:?} do not add up"));
        }
    }
    Ok(())
}

#[test]
fn what_the_format_does_not_allow_is_refused() {
    let gauge = "# HELP a Text.\n# TYPE a gauge\n";
    assert!(parse(&format!("{gauge}a{{b=\"x\\\"y\"}} 1\n")).is_ok());
    for wrong in [
        "a 1\n",
        "# HELP a Text.\n# TYPE a counter\na 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP h T\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["a 1", "a one\n", "a{b=\"x} 1\n", "a 1\na 2\n", "a{b=\"\\x\"} 1\n"] {
        assert!(parse(&format!("{gauge}{wrong}")).is_err(), "{wrong}");
    }
}
