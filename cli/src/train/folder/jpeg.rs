//! Whether a JPEG file is whole. Decoders fill what is missing with grey and say nothing, as libjpeg began it; so the entropy-coded
//! data is read first: every scan must have all its blocks, and the file must end as it says. There are no checksums in a
//! JPEG, so a wrong bit that leaves all codes valid cannot be noticed, here or anywhere.
//!
//! ITU-T T.81 (1992): markers in annex B, sequential decoding in F.2, progressive decoding in G.2.

use std::result::Result;

const TRUNCATED: &str = "the picture is truncated";

/// Tells what is missing or cannot be.
pub fn check(file: &[u8]) -> Result<(), String> {
    let mut frame = None;
    let mut tables = Tables::default();
    let mut reader = Markers { file, at: 0 };
    if reader.marker()? != SOI {
        return Err(corrupt("it does not begin as a JPEG file"));
    }
    loop {
        match reader.marker()? {
            EOI => return frame.as_ref().ok_or_else(|| corrupt("it has no frame")).and_then(Frame::is_complete),
            DHT => tables.read_huffman(reader.segment()?)?,
            DRI => match *reader.segment()? {
                [high, low] => tables.restart_interval = usize::from(u16::from_be_bytes([high, low])),
                _ => return Err(corrupt("the restart interval is no number")),
            },
            SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE if frame.is_some() => {
                return Err(corrupt("it has two frames"));
            }
            marker @ (SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE) => {
                frame = Some(Frame::read(reader.segment()?, marker == SOF_PROGRESSIVE)?);
            }
            SOS => {
                let scan = reader.segment()?;
                let frame = frame.as_mut().ok_or_else(|| corrupt("a scan comes before the frame"))?;
                reader.at = frame.scan(scan, &tables, file, reader.at)?;
            }
            marker if UNSUPPORTED_FRAMES.contains(&marker) => {
                return Err(format!(
                    "the picture is a JPEG of a kind that is not supported (frame type {marker:#04x})"
                ));
            }
            SOI | RST0..=RST7 | 0x00 | 0x01 => return Err(corrupt("a marker stands where none can be")),
            // Quantisation, comments, what applications add.
            _ => {
                reader.segment()?;
            }
        }
    }
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;
const DRI: u8 = 0xdd;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOF_BASELINE: u8 = 0xc0;
const SOF_EXTENDED: u8 = 0xc1;
const SOF_PROGRESSIVE: u8 = 0xc2;

/// Lossless, hierarchical and arithmetic-coded frames, and a number of lines that comes later (DNL).
const UNSUPPORTED_FRAMES: [u8; 13] = [0xc3, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xdc];

fn corrupt(what: &str) -> String {
    format!("the picture is corrupt: {what}")
}

/// The file as markers with their segments.
struct Markers<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Markers<'a> {
    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.file.get(self.at).copied().ok_or(TRUNCATED)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next marker; any number of 0xff may come before its own.
    fn marker(&mut self) -> Result<u8, String> {
        if self.byte()? != 0xff {
            return Err(corrupt("there is no marker where one should be"));
        }
        loop {
            match self.byte()? {
                0xff => {}
                marker => return Ok(marker),
            }
        }
    }

    /// What belongs to the marker before.
    fn segment(&mut self) -> Result<&'a [u8], String> {
        let length = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
        let length = length.checked_sub(2).ok_or_else(|| corrupt("a segment is shorter than its own length"))?;
        let segment = self.file.get(self.at..self.at + length).ok_or(TRUNCATED)?;
        self.at += length;
        Ok(segment)
    }
}

/// What scans need beside the frame; each may be defined again before any scan.
#[derive(Default)]
struct Tables {
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// Units between two restart markers; 0 for none.
    restart_interval: usize,
}

impl Tables {
    fn read_huffman(&mut self, mut segment: &[u8]) -> Result<(), String> {
        while let Some((&head, rest)) = segment.split_first() {
            let wrong = || corrupt("a Huffman table is not whole");
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(wrong)?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(total).ok_or_else(wrong)?;
            let kind = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let table = kind.get_mut(usize::from(head & 15)).filter(|_| head >> 4 < 2).ok_or_else(wrong)?;
            *table = Some(Huffman::new(counts, values)?);
            segment = rest;
        }
        Ok(())
    }
}

/// A canonical code; annex C.
struct Huffman {
    /// For each length: the first code above those of the length, aligned to 16 bits, and what added to a code of the length gives the
    /// index of its value.
    lengths: [(u32, i32); 16],
    values: Vec<u8>,
    /// Length and value by the next eight bits; length 0 for codes that are longer.
    short: Vec<(u8, u8)>,
}

impl Huffman {
    fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, String> {
        let mut lengths = [(0, 0); 16];
        let mut short = vec![(0, 0); 256];
        let (mut code, mut index) = (0_u32, 0_usize);
        for ((entry, &count), length) in lengths.iter_mut().zip(counts).zip(1_u8..) {
            for (value, code) in values.iter().skip(index).take(usize::from(count)).zip(code..) {
                if length <= 8 {
                    let first = (code as usize) << (8 - length);
                    let last = first + (1 << (8 - length));
                    short.get_mut(first..last).into_iter().flatten().for_each(|entry| *entry = (length, *value));
                }
            }
            let offset = index as i32 - code as i32;
            code += u32::from(count);
            index += usize::from(count);
            if code > 1 << length {
                return Err(corrupt("a Huffman table has more codes than there can be"));
            }
            *entry = (code << (16 - length), offset);
            code <<= 1;
        }
        Ok(Self { lengths, values: values.to_vec(), short })
    }
}

/// The bits of a scan up to its next marker.
struct Bits<'a> {
    file: &'a [u8],
    /// The next byte to be taken in.
    at: usize,
    /// The bits taken in and not read yet are the highest `count`.
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match (self.file.get(self.at), self.file.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff) | None, _) => return,
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Up to 16 bits.
    fn take(&mut self, count: u32) -> Result<u32, String> {
        if self.count < count {
            self.fill();
        }
        let left = self.count.checked_sub(count).ok_or_else(|| self.early())?;
        let bits = if count == 0 { 0 } else { self.buffer >> (64 - count) };
        (self.buffer, self.count) = (self.buffer << count, left);
        Ok(bits as u32)
    }

    /// The value of the next code.
    fn decode(&mut self, table: &Huffman) -> Result<u8, String> {
        if self.count < 16 {
            self.fill();
        }
        let (length, value) = table.short.get((self.buffer >> 56) as usize).copied().unwrap_or_default();
        if length > 0 {
            self.take(u32::from(length))?;
            return Ok(value);
        }
        let next = (self.buffer >> 48) as u32;
        for (&(above, offset), length) in table.lengths.iter().zip(1_u32..) {
            if next < above {
                let index = (next >> (16 - length)) as i32 + offset;
                self.take(length)?;
                return usize::try_from(index)
                    .ok()
                    .and_then(|index| table.values.get(index).copied())
                    .ok_or_else(|| corrupt("its data has a code that is none"));
            }
        }
        Err(if self.count < 16 { self.early() } else { corrupt("its data has a code that is none") })
    }

    /// The error for bits that are not there.
    fn early(&self) -> String {
        if self.at >= self.file.len() { TRUNCATED.to_owned() } else { corrupt("its data ends early") }
    }

    /// Moves to the marker after the data. Bytes of padding may come before it: some cameras fill up their blocks.
    fn end(&mut self) -> Result<(), String> {
        loop {
            self.fill();
            let (whole, padding) = (self.count / 8, self.count % 8);
            self.take(padding)?;
            for _ in 0..whole {
                if !matches!(self.take(8)?, 0 | 0xff) {
                    return Err(corrupt("it has data that belongs to no part of the picture"));
                }
            }
            if whole == 0 {
                return Ok(());
            }
        }
    }

    /// Skips the restart marker of a number, counted from 0.
    fn restart(&mut self, number: usize) -> Result<(), String> {
        self.end()?;
        let mut reader = Markers { file: self.file, at: self.at };
        if reader.marker()? != RST0 + (number % 8) as u8 {
            return Err(corrupt("its data ends early"));
        }
        self.at = reader.at;
        Ok(())
    }
}

/// A component of the frame, as Y of YCbCr.
struct Component {
    id: u8,
    /// Blocks of it in a unit of several components.
    across: usize,
    down: usize,
    /// Blocks of it when it is alone, and blocks in a row as they are stored.
    columns: usize,
    rows: usize,
    stride: usize,
    /// Of a progressive frame: which coefficients of each block are not 0 by now.
    nonzero: Vec<u64>,
    /// How many low bits of each coefficient are still to come; all of them where no scan had it.
    missing: [u8; 64],
}

/// Nothing of a coefficient has come.
const ALL_BITS: u8 = u8::MAX;

struct Frame {
    progressive: bool,
    /// Units of several components.
    units: usize,
    units_across: usize,
    components: Vec<Component>,
}

/// What a scan holds of each of its blocks.
struct Band {
    start: usize,
    end: usize,
    /// The bits of earlier scans and those that are still to come.
    high: u8,
    low: u8,
    /// Blocks that have nothing more in this scan.
    run: u32,
}

impl Frame {
    fn read(segment: &[u8], progressive: bool) -> Result<Self, String> {
        let wrong = || corrupt("its frame is not whole");
        let (&[_, high, low, left, right, count], parts) = segment.split_first_chunk::<6>().ok_or_else(wrong)?;
        let [height, width] = [[high, low], [left, right]].map(|bytes| usize::from(u16::from_be_bytes(bytes)));
        let parts = parts.as_chunks::<3>().0;
        let sampling = |part: &[u8; 3]| (usize::from(part[1] >> 4), usize::from(part[1] & 15));
        if parts.len() != usize::from(count) || parts.is_empty() || width == 0 || height == 0 {
            return Err(wrong());
        }
        if parts.iter().map(sampling).any(|(across, down)| !(1..=4).contains(&across) || !(1..=4).contains(&down)) {
            return Err(wrong());
        }
        let most_across = parts.iter().map(|part| sampling(part).0).max().unwrap_or(1);
        let most_down = parts.iter().map(|part| sampling(part).1).max().unwrap_or(1);
        let (units_across, units_down) = (width.div_ceil(8 * most_across), height.div_ceil(8 * most_down));
        let component = |part: &[u8; 3]| {
            let (across, down) = sampling(part);
            let blocks = units_across * across * units_down * down;
            Component {
                id: part[0],
                across,
                down,
                columns: (width * across).div_ceil(most_across).div_ceil(8),
                rows: (height * down).div_ceil(most_down).div_ceil(8),
                stride: units_across * across,
                nonzero: if progressive { vec![0; blocks] } else { Vec::new() },
                missing: [ALL_BITS; 64],
            }
        };
        let components = parts.iter().map(component).collect();
        Ok(Self { progressive, units: units_across * units_down, units_across, components })
    }

    /// All coefficients have come, to their last bit.
    fn is_complete(&self) -> Result<(), String> {
        let complete = self.components.iter().all(|component| component.missing == [0; 64]);
        complete.then_some(()).ok_or_else(|| corrupt("it ends before the last of its scans"))
    }

    /// Checks a scan whose data begins at `at`; returns where it ends.
    fn scan(&mut self, segment: &[u8], tables: &Tables, file: &[u8], at: usize) -> Result<usize, String> {
        let wrong = || corrupt("the head of a scan is not whole");
        let (&count, rest) = segment.split_first().ok_or_else(wrong)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(wrong)?;
        let &[start, end, bits] = rest else { return Err(wrong()) };
        let [start, end] = [start, end].map(usize::from);
        let mut band = if self.progressive {
            Band { start, end, high: bits >> 4, low: bits & 15, run: 0 }
        } else {
            Band { start: 0, end: 63, high: 0, low: 0, run: 0 }
        };
        if band.end > 63 || band.start > band.end || (self.progressive && band.start == 0 && band.end > 0) {
            return Err(wrong());
        }
        let mut chosen = Vec::new();
        for part in parts.as_chunks::<2>().0 {
            let index = self.components.iter().position(|component| component.id == part[0]).ok_or_else(wrong)?;
            let table =
                |kind: &'_ [Option<Huffman>; 4], number: u8| kind.get(usize::from(number)).is_some_and(Option::is_some);
            let no_dc = band.start == 0 && band.high == 0 && !table(&tables.dc, part[1] >> 4);
            let no_ac = band.end > 0 && !table(&tables.ac, part[1] & 15);
            if no_dc || no_ac {
                return Err(corrupt("a Huffman table is missing"));
            }
            chosen.push((index, usize::from(part[1] >> 4), usize::from(part[1] & 15)));
            self.mark(index, &band)?;
        }
        if chosen.is_empty() || (chosen.len() > 1 && band.start > 0) {
            return Err(wrong());
        }
        let mut bits = Bits { file, at, buffer: 0, count: 0 };
        let units = match chosen.as_slice() {
            &[(index, ..)] => self.components.get(index).map_or(0, |single| single.columns * single.rows),
            _ => self.units,
        };
        for unit in 0..units {
            if tables.restart_interval > 0 && unit > 0 && unit.is_multiple_of(tables.restart_interval) {
                bits.restart(unit / tables.restart_interval - 1)?;
                band.run = 0;
            }
            self.unit(unit, &chosen, tables, &mut band, &mut bits)?;
        }
        bits.end()?;
        Ok(bits.at)
    }

    /// Notes what a scan has of a component; scans that repeat or leave out bits are refused.
    fn mark(&mut self, index: usize, band: &Band) -> Result<(), String> {
        let missing =
            self.components.get_mut(index).and_then(|component| component.missing.get_mut(band.start..=band.end));
        for missing in missing.into_iter().flatten() {
            let expected = if band.high == 0 { ALL_BITS } else { band.high };
            if *missing != expected || (band.high > 0 && band.low + 1 != band.high) {
                return Err(corrupt("its scans do not follow each other"));
            }
            *missing = band.low;
        }
        Ok(())
    }

    fn unit(
        &mut self,
        unit: usize,
        chosen: &[(usize, usize, usize)],
        tables: &Tables,
        band: &mut Band,
        bits: &mut Bits<'_>,
    ) -> Result<(), String> {
        let alone = chosen.len() == 1;
        for &(index, dc, ac) in chosen {
            let Some(component) = self.components.get_mut(index) else { continue };
            let tables = (tables.dc.get(dc).and_then(Option::as_ref), tables.ac.get(ac).and_then(Option::as_ref));
            let (across, down) = if alone { (1, 1) } else { (component.across, component.down) };
            let in_a_row = if alone { component.columns } else { self.units_across };
            for row in 0..down {
                for column in 0..across {
                    let position =
                        (unit / in_a_row * down + row) * component.stride + unit % in_a_row * across + column;
                    block(tables, band, bits, component.nonzero.get_mut(position))?;
                }
            }
        }
        Ok(())
    }
}

/// Skips what a scan has of a block.
fn block(
    (dc, ac): (Option<&Huffman>, Option<&Huffman>),
    band: &mut Band,
    bits: &mut Bits<'_>,
    nonzero: Option<&mut u64>,
) -> Result<(), String> {
    if band.start == 0 {
        match dc {
            Some(table) if band.high == 0 => {
                let size = bits.decode(table)?;
                if size > 16 {
                    return Err(corrupt("its data has a number that is too long"));
                }
                bits.take(u32::from(size))?;
            }
            _ => {
                bits.take(1)?;
            }
        }
    }
    let (Some(ac), true) = (ac, band.end > 0) else { return Ok(()) };
    let mut unseen = 0;
    let nonzero = nonzero.unwrap_or(&mut unseen);
    if band.high > 0 { refine(ac, band, bits, nonzero) } else { first(ac, band, bits, nonzero) }
}

/// The coefficients of a block but for the first, as they come for the first time.
fn first(ac: &Huffman, band: &mut Band, bits: &mut Bits<'_>, nonzero: &mut u64) -> Result<(), String> {
    if band.run > 0 {
        band.run -= 1;
        return Ok(());
    }
    let mut k = band.start.max(1);
    while k <= band.end {
        let code = bits.decode(ac)?;
        let (zeros, size) = (usize::from(code >> 4), u32::from(code & 15));
        match (zeros, size) {
            (15, 0) => k += 16,
            (1.., 0) if band.start == 0 => return Err(corrupt("its data has a run of blocks where none can be")),
            (_, 0) => {
                // The rest of this block is 0, and all of a number of blocks after it.
                band.run = (1 << zeros) - 1 + bits.take(zeros as u32)?;
                break;
            }
            _ => {
                k += zeros;
                if k > band.end {
                    return Err(corrupt("its data has a coefficient beyond its block"));
                }
                bits.take(size)?;
                *nonzero |= 1 << k;
                k += 1;
            }
        }
    }
    Ok(())
}

/// The next bit of coefficients that are there, and those that come with it.
fn refine(ac: &Huffman, band: &mut Band, bits: &mut Bits<'_>, nonzero: &mut u64) -> Result<(), String> {
    let mut k = band.start;
    while band.run == 0 && k <= band.end {
        let code = bits.decode(ac)?;
        let (mut zeros, size) = (u32::from(code >> 4), code & 15);
        if size == 0 && zeros < 15 {
            band.run = (1 << zeros) + bits.take(zeros)?;
            break;
        }
        bits.take(u32::from(size > 0))?;
        while k <= band.end {
            if *nonzero >> k & 1 == 1 {
                bits.take(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            k += 1;
        }
        if size > 0 {
            if k > band.end {
                return Err(corrupt("its data has a coefficient beyond its block"));
            }
            *nonzero |= 1 << k;
        }
        k += 1;
    }
    if band.run > 0 {
        for k in k..=band.end {
            bits.take((*nonzero >> k & 1) as u32)?;
        }
        band.run -= 1;
    }
    Ok(())
}
