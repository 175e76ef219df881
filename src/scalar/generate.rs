//! What the table of scalar functions is expanded to: the list of functions, and for each its name, its number of arguments, its WGSL,
//! its derivative and its loops on the CPU.

macro_rules! functions {
    ($( $(#[$doc:meta])* $variant:ident $name:literal $signature:ident ($($argument:ident),+) = $value:expr;
        wgsl $wgsl:literal; derivative |$e:ident, $y:ident| [$($partial:expr),*]; )*) => {
        /// A function of scalars, applied element by element.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ScalarFunction {
            $( $(#[$doc])* $variant, )*
            /// a == b
            Equal,
            /// a != b
            NotEqual,
            /// a < b
            Less,
            /// a <= b
            LessEqual,
            /// a > b
            Greater,
            /// a >= b
            GreaterEqual,
            /// True where a is NaN
            IsNan,
            /// True where a is infinite
            IsInf,
            /// a and b
            And,
            /// a or b
            Or,
            /// a exclusive-or b
            Xor,
            /// not a
            Not,
            /// a & b, bit by bit
            BitAnd,
            /// a | b, bit by bit
            BitOr,
            /// a ^ b, bit by bit
            BitXor,
            /// a << b
            ShiftLeft,
            /// a >> b (arithmetic for i32 and i64)
            ShiftRight,
            /// a ? b : c
            Select,
            /// Rounds or converts to the type; floats to integers truncate and saturate, integers to smaller ones keep the
            /// lower bits.
            Cast(DType),
            /// The same bits, read as the type.
            BitCast(DType),
            /// First or second word of Threefry-2x32 with 20 rounds, for (key 0, key 1, counter 0, counter 1).
            Threefry(u8),
        }

        /// The functions over numbers, in the table's order.
        pub const NUMERIC: &[ScalarFunction] = &[$(ScalarFunction::$variant),*];

        impl ScalarFunction {
            /// The name, as users know it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Equal => "eq",
                    Self::NotEqual => "ne",
                    Self::Less => "lt",
                    Self::LessEqual => "le",
                    Self::Greater => "gt",
                    Self::GreaterEqual => "ge",
                    Self::IsNan => "is_nan",
                    Self::IsInf => "is_inf",
                    Self::And => "logical_and",
                    Self::Or => "logical_or",
                    Self::Xor => "logical_xor",
                    Self::Not => "logical_not",
                    Self::BitAnd => "bitwise_and",
                    Self::BitOr => "bitwise_or",
                    Self::BitXor => "bitwise_xor",
                    Self::ShiftLeft => "shift_left",
                    Self::ShiftRight => "shift_right",
                    Self::Select => "select",
                    Self::Cast(_) => "cast",
                    Self::BitCast(_) => "bit_cast",
                    Self::Threefry(_) => "threefry",
                }
            }

            /// How it treats element types.
            pub fn signature(self) -> Signature {
                match self {
                    $(Self::$variant => Signature::$signature,)*
                    Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater
                        | Self::GreaterEqual => Signature::Comparison,
                    Self::IsNan | Self::IsInf => Signature::Classification,
                    Self::And | Self::Or | Self::Xor | Self::Not => Signature::Logic,
                    Self::BitAnd | Self::BitOr | Self::BitXor | Self::ShiftLeft | Self::ShiftRight => Signature::Bits,
                    Self::Select => Signature::Select,
                    Self::Cast(dtype) => Signature::Cast(dtype),
                    Self::BitCast(dtype) => Signature::BitCast(dtype),
                    Self::Threefry(_) => Signature::RandomBits,
                }
            }

            /// Number of arguments.
            pub fn arity(self) -> usize {
                match self {
                    $(Self::$variant => [$(stringify!($argument)),+].len(),)*
                    Self::IsNan | Self::IsInf | Self::Not | Self::Cast(_) | Self::BitCast(_) => 1,
                    Self::Select => 3,
                    Self::Threefry(_) => 4,
                    Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
                        | Self::And | Self::Or | Self::Xor
                        | Self::BitAnd | Self::BitOr | Self::BitXor | Self::ShiftLeft | Self::ShiftRight => 2,
                }
            }

            /// The WGSL of a numeric function, with `{a}`, `{b}`, `{c}` for the arguments.
            pub(super) fn numeric_wgsl(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($wgsl),)*
                    _ => None,
                }
            }

            /// The partial derivatives to each argument as expressions of the arguments and the value;
            /// `None` where a partial derivative is zero or not defined (integers, truth values).
            pub(crate) fn derivative(self, builder: &mut Builder, arguments: &[NodeId], value: NodeId) -> Vec<Option<NodeId>> {
                let mut rest = arguments.iter().copied();
                let mut next = || rest.next().unwrap_or(value);
                match self {
                    $(Self::$variant => {
                        #[allow(unused_variables)]
                        {
                            $(let $argument = next();)+
                            let $y = value;
                            let $e = builder;
                            vec![$(Into::<Option<NodeId>>::into($partial)),*]
                        }
                    })*
                    Self::Select => {
                        let condition = next();
                        let one = builder.number(1.0);
                        let zero = builder.number(0.0);
                        vec![
                            None,
                            Some(builder.call(Self::Select, &[condition, one, zero])),
                            Some(builder.call(Self::Select, &[condition, zero, one])),
                        ]
                    }
                    // Integers and truth values; the gradient of a cast is another cast, which the graph makes.
                    Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
                        | Self::IsNan | Self::IsInf | Self::And | Self::Or | Self::Xor | Self::Not
                        | Self::BitAnd | Self::BitOr | Self::BitXor | Self::ShiftLeft | Self::ShiftRight
                        | Self::Cast(_) | Self::BitCast(_) | Self::Threefry(_) => vec![None; self.arity()],
                }
            }
        }

        /// Applies a numeric function to slices of one float type; other functions leave `out` as it is.
        #[inline(always)]
        pub(super) fn apply_real<T: Real>(function: ScalarFunction, out: &mut [T], arguments: [&[T]; 3]) {
            match function {
                $(ScalarFunction::$variant => {
                    apply_real!(@loop out, arguments, ($($argument),+), $value);
                })*
                _ => {}
            }
        }
    };
}

// All operands are as long as the result. Over indices: chains of iterators over them are calls that may stay calls.
macro_rules! apply_real {
    (@loop $out:ident, $arguments:ident, ($($argument:ident),+), $value:expr) => {
        let n = $out.len();
        let [$($argument),+, ..] = $arguments;
        $(let $argument = &$argument[..n];)+
        for lane in 0..n {
            $(let $argument = $argument[lane];)+
            $out[lane] = $value;
        }
    };
}
