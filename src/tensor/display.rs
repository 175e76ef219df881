//! How values print: as NumPy's `print` does, down to the spaces. Floats have the fewest digits that tell them from their
//! neighbours, up to eight after the point; beyond 1000 elements, three at either end of each axis are shown.

use std::fmt;

use half::{bf16, f16};

use super::{DType, TensorData};

/// More elements are not all shown.
const THRESHOLD: usize = 1000;

/// Elements shown at each end of an axis where not all are.
const EDGE: usize = 3;

/// Columns of a line.
const WIDTH: usize = 75;

/// Digits after the point.
const PRECISION: usize = 8;

/// A number's digits, the first before the point, and its power of ten: the fewest that parse to it in its own type.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Decimal {
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits = mantissa.chars().filter(char::is_ascii_digit).collect();
        Self { negative: mantissa.starts_with('-'), digits, exponent: exponent.parse().unwrap_or(0) }
    }

    fn shortest(value: f64, dtype: DType) -> Self {
        let same = |text: &str| match (text.parse::<f64>(), dtype) {
            (Ok(number), DType::F16) => f16::from_f64(number).to_f64() == value,
            (Ok(number), DType::BF16) => bf16::from_f64(number).to_f64() == value,
            _ => false,
        };
        let text = match dtype {
            DType::F32 => format!("{:e}", value as f32),
            DType::F16 | DType::BF16 => {
                let candidates = (0..9).map(|digits| format!("{value:.digits$e}"));
                candidates.into_iter().find(|text| same(text)).unwrap_or_else(|| format!("{value:e}"))
            }
            _ => format!("{value:e}"),
        };
        Self::parse(&text)
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// Digits before and after the point.
    fn positional(&self) -> (String, String) {
        let digit = |index: i32| {
            let known = usize::try_from(index).ok().and_then(|index| self.digits.as_bytes().get(index));
            known.map_or('0', |&digit| char::from(digit))
        };
        let integer: String = (0..=self.exponent.max(0)).map(|index| digit(index + self.exponent.min(0))).collect();
        let last = self.digits.len() as i32;
        let part: String = (self.exponent + 1..last).map(digit).collect();
        (format!("{}{integer}", self.sign()), part.trim_end_matches('0').to_owned())
    }

    /// Digits before and after the point, and the power with its sign.
    fn scientific(&self) -> (String, String, String) {
        let (first, rest) = self.digits.split_at(self.digits.len().min(1));
        let power = format!("{}{:02}", if self.exponent < 0 { '-' } else { '+' }, self.exponent.unsigned_abs());
        (format!("{}{first}", self.sign()), rest.trim_end_matches('0').to_owned(), power)
    }
}

/// How the values of a tensor are written, so that their points are in line.
enum Layout {
    Positional { before: usize, after: usize },
    Scientific { before: usize, after: usize, power: usize },
    Right { width: usize },
}

fn positional(value: f64, dtype: DType) -> (String, String) {
    let (integer, part) = Decimal::shortest(value, dtype).positional();
    if part.len() <= PRECISION {
        return (integer, part);
    }
    let text = format!("{value:.PRECISION$}");
    let (integer, part) = text.split_once('.').unwrap_or((&text, ""));
    (integer.to_owned(), part.trim_end_matches('0').to_owned())
}

fn scientific(value: f64, dtype: DType) -> (String, String, String) {
    let shortest = Decimal::shortest(value, dtype);
    if shortest.digits.len() <= PRECISION + 1 {
        return shortest.scientific();
    }
    Decimal::parse(&format!("{value:.PRECISION$e}")).scientific()
}

fn longest<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(String::len).max().unwrap_or(0)
}

impl Layout {
    /// For the values that are shown.
    fn of_floats(values: &[f64], dtype: DType) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let sizes = finite.iter().map(|value| value.abs()).filter(|&size| size > 0.0);
        let (low, high) = sizes.fold((f64::INFINITY, 0.0_f64), |(low, high), size| (low.min(size), high.max(size)));
        // Powers of ten that a type tells apart.
        let most = match dtype {
            DType::F16 => 1e3,
            DType::BF16 => 1e2,
            DType::F32 => 1e6,
            _ => 1e8,
        };
        let wide = high > 0.0 && (high >= most || low < 1e-4 || high / low > 1000.0);
        let (mut before, after, power) = if wide {
            let parts: Vec<_> = finite.iter().map(|&value| scientific(value, dtype)).collect();
            let power = longest(parts.iter().map(|(_, _, power)| power));
            (longest(parts.iter().map(|(integer, ..)| integer)), longest(parts.iter().map(|(_, part, _)| part)), power)
        } else {
            let parts: Vec<_> = finite.iter().map(|&value| positional(value, dtype)).collect();
            (longest(parts.iter().map(|(integer, _)| integer)), longest(parts.iter().map(|(_, part)| part)), 0)
        };
        // The room behind the integer digits: point, digits, and `e` with the power.
        let behind = after + 1 + if wide { power + 1 } else { 0 };
        for value in values.iter().filter(|value| !value.is_finite()) {
            before = before.max(special(*value).len().saturating_sub(behind));
        }
        if wide { Self::Scientific { before, after, power } } else { Self::Positional { before, after } }
    }

    fn write(&self, element: &Element, dtype: DType) -> String {
        match (self, element) {
            (Self::Right { width }, Element::Text(text)) => format!("{text:>width$}"),
            (&Self::Positional { before, after }, &Element::Float(value)) if value.is_finite() => {
                let (integer, part) = positional(value, dtype);
                format!("{integer:>before$}.{part:<after$}")
            }
            (&Self::Scientific { before, after, power }, &Element::Float(value)) if value.is_finite() => {
                let (integer, part, exponent) = scientific(value, dtype);
                let (sign, digits) = exponent.split_at(1);
                format!("{integer:>before$}.{part:0<after$}e{sign}{digits:0>0$}", power.saturating_sub(1))
            }
            (&Self::Positional { before, after }, &Element::Float(value)) => {
                format!("{:>1$}", special(value), before + 1 + after)
            }
            (&Self::Scientific { before, after, power }, &Element::Float(value)) => {
                format!("{:>1$}", special(value), before + 2 + after + power)
            }
            (Self::Right { .. }, &Element::Float(value)) => special(value).to_owned(),
            (_, Element::Text(text)) => text.clone(),
        }
    }
}

const fn special(value: f64) -> &'static str {
    if value.is_nan() {
        "nan"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

enum Element {
    Float(f64),
    Text(String),
}

/// A tensor that is being written.
struct Printer<'a> {
    data: &'a TensorData,
    floats: Vec<f64>,
    layout: Layout,
    shortened: bool,
}

impl Printer<'_> {
    fn element(data: &TensorData, floats: &[f64], index: usize) -> Element {
        let value = floats.get(index).copied().unwrap_or(0.0);
        match data.dtype() {
            dtype if dtype.is_float() => Element::Float(value),
            DType::Bool => Element::Text(if value == 0.0 { "False".into() } else { " True".into() }),
            // Beyond 2⁵³ an f64 is not enough.
            DType::I64 => {
                let exact = data.as_slice::<i64>().ok().and_then(|values| values.get(index));
                Element::Text(exact.map_or_else(String::new, ToString::to_string))
            }
            _ => Element::Text(format!("{value}")),
        }
    }

    /// Indices along an axis that are shown; none for the gap.
    fn shown(extent: usize, shortened: bool) -> Vec<Option<usize>> {
        if shortened && extent > 2 * EDGE {
            (0..EDGE).map(Some).chain([None]).chain((extent - EDGE..extent).map(Some)).collect()
        } else {
            (0..extent).map(Some).collect()
        }
    }

    /// The elements that are shown, counted row-major.
    fn indices(dims: &[usize], shortened: bool) -> Vec<usize> {
        let mut all = vec![0];
        for &extent in dims {
            let positions: Vec<usize> = Self::shown(extent, shortened).into_iter().flatten().collect();
            all = all
                .iter()
                .flat_map(|&before| positions.iter().map(move |&position| before * extent + position))
                .collect();
        }
        all
    }

    fn new(data: &TensorData) -> Printer<'_> {
        let (floats, shortened) = (data.to_f64_vec(), data.len() > THRESHOLD);
        let indices = Printer::indices(data.shape(), shortened);
        let layout = if data.dtype().is_float() {
            let values: Vec<f64> = indices.iter().filter_map(|&index| floats.get(index).copied()).collect();
            Layout::of_floats(&values, data.dtype())
        } else {
            let texts = indices.iter().map(|&index| match Self::element(data, &floats, index) {
                Element::Text(text) => text.len(),
                Element::Float(_) => 0,
            });
            Layout::Right { width: texts.max().unwrap_or(0) }
        };
        Printer { data, floats, layout, shortened }
    }

    fn word(&self, index: usize) -> String {
        self.layout.write(&Self::element(self.data, &self.floats, index), self.data.dtype())
    }

    /// The part of the tensor from an element on, whose axes are these. `indent` is its depth.
    fn nested(&self, first: usize, dims: &[usize], indent: usize, width: usize, text: &mut String) {
        let Some((&extent, inner)) = dims.split_first() else {
            text.push_str(&self.word(first));
            return;
        };
        let elements: usize = inner.iter().product();
        let margin = " ".repeat(indent);
        text.push('[');
        // A line so far, with its margin: the bracket takes the last column of it.
        let mut line = indent;
        for (number, index) in Self::shown(extent, self.shortened).into_iter().enumerate() {
            if !inner.is_empty() {
                if number > 0 {
                    text.push_str(&"\n".repeat(inner.len()));
                    text.push_str(&margin);
                }
                match index {
                    Some(index) => self.nested(first + index * elements, inner, indent + 1, width - 1, text),
                    None => text.push_str("..."),
                }
                continue;
            }
            let word = index.map_or_else(|| "...".to_owned(), |index| self.word(first + index));
            let spaced = usize::from(number > 0);
            if line > indent && line + spaced + word.chars().count() > width - 1 {
                text.truncate(text.trim_end_matches(' ').len());
                text.push('\n');
                text.push_str(&margin);
                line = indent + word.len();
            } else {
                text.push_str(&" ".repeat(spaced));
                line += spaced + word.len();
            }
            text.push_str(&word);
        }
        text.push(']');
    }
}

/// A single float, as Python writes it.
fn scalar(value: f64, dtype: DType) -> String {
    if !value.is_finite() {
        return special(value).to_owned();
    }
    let decimal = Decimal::shortest(value, dtype);
    if value != 0.0 && !(-4..16).contains(&decimal.exponent) {
        let (integer, part, power) = decimal.scientific();
        let point = if part.is_empty() { "" } else { "." };
        return format!("{integer}{point}{part}e{power}");
    }
    let (integer, part) = decimal.positional();
    format!("{integer}.{}", if part.is_empty() { "0" } else { &part })
}

/// As NumPy prints an array.
///
/// ```
/// use wgrad::tensor::TensorData;
/// let x = TensorData::from_vec(vec![1.0_f32, -2.5, 0.125, 3.0], [2, 2])?;
/// assert_eq!(x.to_string(), "[[ 1.    -2.5  ]\n [ 0.125  3.   ]]");
/// assert_eq!(format!("{x:?}"), "TensorData(f32[2, 2], [[ 1.    -2.5  ] [ 0.125  3.   ]])");
/// # Ok::<(), wgrad::Error>(())
/// ```
impl fmt::Display for TensorData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("[]");
        }
        if self.shape().rank() == 0 {
            let printer = Printer::new(self);
            return match Printer::element(self, &printer.floats, 0) {
                Element::Float(value) => formatter.write_str(&scalar(value, self.dtype())),
                Element::Text(text) => formatter.write_str(text.trim_start()),
            };
        }
        let mut text = String::new();
        Printer::new(self).nested(0, self.shape(), 1, WIDTH, &mut text);
        formatter.write_str(&text)
    }
}

/// Type and shape, and the values in one line.
impl fmt::Debug for TensorData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.to_string();
        let lines: Vec<&str> = values.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
        write!(formatter, "TensorData({}, {})", self.ty(), lines.join(" "))
    }
}
