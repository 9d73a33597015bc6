//! Which columns a table has, and what is in them.

use std::collections::{BTreeMap, HashSet};

use lote::Outcome;

use super::answer::Answer;
use super::cell::Cell;
use super::costs::{Costs, Sum};
use super::object::Path;
#[cfg(feature = "full")]
use super::parquet::kind::Kind;

/// The most columns that are made of the fields of answers.
const MOST: usize = 1000;

/// How answers become columns.
#[derive(Clone, Debug)]
pub(crate) enum Fields {
    /// The fields of answers that are objects of JSON, when all texts are.
    Auto,
    /// The text as it came.
    Text,
    /// These fields, by the names that lead to them, with dots between.
    Named(Vec<String>),
}

/// What there is in all answers.
pub(crate) struct Survey {
    fields: Fields,
    /// Whether objects within objects are taken apart.
    apart: bool,
    rows: u64,
    texts: u64,
    objects: u64,
    found: Found,
    costs: Costs,
    /// What all results cost.
    pub(crate) sum: Sum,
    paths: Vec<Path>,
    known: HashSet<Path>,
    /// The answers have more different fields than a table can.
    too_many: bool,
}

/// Which parts answers have.
#[derive(Clone, Copy, Default)]
struct Found {
    refusals: bool,
    calls: bool,
    vectors: bool,
    images: bool,
    others: bool,
}

impl Survey {
    pub(crate) fn new(fields: Fields, apart: bool, costs: Costs) -> Self {
        let (paths, known) = (Vec::new(), HashSet::new());
        let (rows, texts, objects, found, sum) = (0, 0, 0, Found::default(), Sum::default());
        Self { fields, apart, rows, texts, objects, found, costs, sum, paths, known, too_many: false }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome, answer: &Answer) {
        self.rows += 1;
        self.costs.add(outcome, &mut self.sum);
        self.found.refusals |= answer.refusal.is_some();
        self.found.calls |= answer.calls.is_some();
        self.found.vectors |= !answer.vectors.is_empty();
        self.found.images |= !answer.images.is_empty();
        self.found.others |= answer.other.is_some();
        if answer.texts.is_empty() || matches!(self.fields, Fields::Text) {
            self.texts += u64::from(!answer.texts.is_empty());
            return;
        }
        let Some(object) = answer.object() else {
            // What was cut off or held back would have been one.
            self.texts += u64::from(!outcome.is_cut_off() && !outcome.is_filtered());
            return;
        };
        self.objects += 1;
        if matches!(self.fields, Fields::Named(_)) {
            return;
        }
        for (path, _) in object.fields(self.apart) {
            if self.known.contains(&path) {
                continue;
            }
            if self.paths.len() == MOST {
                self.too_many = true;
                return;
            }
            self.known.insert(path.clone());
            self.paths.push(path);
        }
    }

    /// The columns beside those of the user's rows, whose names stay. With `folded`, names that differ only in case count as
    /// the same, as they do to most that ask a table by SQL.
    ///
    /// # Errors
    /// Says why the fields of answers cannot be columns.
    pub(crate) fn columns(self, rows: &[String], folded: bool) -> Result<Columns, String> {
        let paths = match self.fields {
            Fields::Text => Vec::new(),
            Fields::Named(names) => names.iter().map(|name| name.split('.').map(str::to_owned).collect()).collect(),
            Fields::Auto if self.texts > 0 || self.objects == 0 => Vec::new(),
            Fields::Auto if self.too_many => {
                return Err(format!(
                    "the answers have more than {MOST} different fields; name those that you want with --fields, or keep \
                     the answers as they are with --text"
                ));
            }
            Fields::Auto => self.paths,
        };
        let Found { refusals, calls, vectors, images, others } = self.found;
        let nothing = !(refusals || calls || vectors || images || others);
        let text = paths.is_empty() && (self.texts + self.objects > 0 || nothing);
        let mut parts = vec![Part::Id, Part::Outcome];
        parts.extend(paths.into_iter().map(Part::Field));
        let said = [
            (text, Part::Text),
            (refusals, Part::Refusal),
            (calls, Part::Calls),
            (vectors, Part::Vector),
            (images, Part::Image),
            (others, Part::Other),
        ];
        parts.extend(said.into_iter().filter_map(|(is_there, part)| is_there.then_some(part)));
        parts.extend([Part::Model, Part::Finish, Part::Input, Part::Output]);
        parts.extend(self.sum.cost.map(|_| Part::Cost));
        parts.extend([Part::Code, Part::Message]);
        let mut taken = Taken { names: HashSet::new(), folded };
        for name in rows {
            taken.take(name);
        }
        let names = parts.iter().map(|part| part.name(&mut taken)).collect();
        Ok(Columns { names, parts, apart: self.apart, costs: self.costs })
    }
}

/// The columns of a table.
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    parts: Vec<Part>,
    apart: bool,
    costs: Costs,
}

enum Part {
    Id,
    Outcome,
    Field(Path),
    Text,
    Refusal,
    Calls,
    Vector,
    Image,
    Other,
    Model,
    Finish,
    Input,
    Output,
    Cost,
    Code,
    Message,
}

impl Part {
    /// A name that no other column has.
    fn name(&self, taken: &mut Taken) -> String {
        let name = match self {
            Self::Id => "custom_id",
            Self::Outcome => "outcome",
            Self::Field(path) => &path.join("."),
            Self::Text => "text",
            Self::Refusal => "refusal",
            Self::Calls => "tool_calls",
            Self::Vector => "embedding",
            Self::Image => "image",
            Self::Other => "answer",
            Self::Model => "model",
            Self::Finish => "finish_reason",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
            Self::Cost => "cost",
            Self::Code => "error_code",
            Self::Message => "error_message",
        };
        // The columns of the answer come first, so that ours give way to a field of the same name.
        (1_u32..)
            .map(|count| if count == 1 { name.to_owned() } else { format!("{name}_{count}") })
            .find(|free| taken.take(free))
            .unwrap_or_default()
    }
}

/// The names that columns have.
struct Taken {
    names: HashSet<String>,
    folded: bool,
}

impl Taken {
    /// Whether nobody had it before.
    fn take(&mut self, name: &str) -> bool {
        self.names.insert(if self.folded { name.to_lowercase() } else { name.to_owned() })
    }
}

impl Columns {
    /// The cells of one line, in the order of the columns.
    pub(crate) fn cells(&self, outcome: &Outcome, answer: &Answer) -> Vec<Cell> {
        let fields = answer.object().map(|object| object.fields(self.apart)).unwrap_or_default();
        let mut fields: BTreeMap<Path, Cell> = fields.into_iter().collect();
        let usage = outcome.usage();
        let cell = |part: &Part| match part {
            Part::Id => Cell::Text(outcome.custom_id().to_owned()),
            Part::Outcome => Cell::Text(outcome.kind().to_string()),
            Part::Field(path) => fields.remove(path).unwrap_or_default(),
            Part::Text => answer.text(),
            Part::Refusal => Cell::text(answer.refusal.as_deref()),
            Part::Calls => answer.calls.clone().map_or(Cell::Empty, Cell::Json),
            Part::Vector => answer.vector(),
            Part::Image => answer.image(),
            Part::Other => answer.other.clone().map_or(Cell::Empty, Cell::Json),
            Part::Model => Cell::text(outcome.model()),
            Part::Finish => Cell::text(outcome.finish_reason().ok().map(|reason| reason.to_string())),
            Part::Input => Cell::number(usage.as_ref().map(|usage| usage.input_tokens)),
            Part::Output => Cell::number(usage.as_ref().map(|usage| usage.output_tokens)),
            Part::Cost => self.costs.of(outcome).map_or(Cell::Empty, |cost| Cell::Plain(cost.exact())),
            Part::Code => Cell::text(outcome.error_code()),
            Part::Message => Cell::text(outcome.error_message()),
        };
        self.parts.iter().map(cell).collect()
    }

    /// What is in each column in every table, where that is known.
    #[cfg(feature = "full")]
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Option<Kind>> {
        self.parts.iter().map(|part| match part {
            Part::Field(_) => None,
            Part::Vector => Some(Kind::Vector),
            Part::Input | Part::Output => Some(Kind::Integer),
            Part::Cost => Some(Kind::Float),
            _ => Some(Kind::Text),
        })
    }
}
