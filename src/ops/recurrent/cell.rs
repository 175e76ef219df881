//! What a step of a recurrence computes.

/// The kinds of recurrent layer. `x` is a gate's part of the input (with its biases), `W·h` that of the state before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// h' = tanh(x + W·h)
    Tanh,
    /// h' = max(x + W·h, 0)
    Relu,
    /// i, f, g, o: c' = σ(f)·c + σ(i)·tanh(g), h' = σ(o)·tanh(c') (Hochreiter and Schmidhuber 1997, without peepholes).
    Lstm,
    /// r, z, n: n = tanh(x + σ(r)·(W·h + b)), h' = (1 − σ(z))·n + σ(z)·h; PyTorch's, and Keras's with `reset_after`.
    Gru,
    /// r, z, n: n = tanh(x + W·(σ(r)·h)), h' = (1 − σ(z))·n + σ(z)·h (Cho et al. 2014); Keras's without `reset_after`.
    GruResetBefore,
}

impl Cell {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Tanh, Self::Relu, Self::Lstm, Self::Gru, Self::GruResetBefore];

    /// The name, as in error messages and printed programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tanh => "rnn_sequence",
            Self::Relu => "rnn_relu_sequence",
            Self::Lstm => "lstm_sequence",
            Self::Gru => "gru_sequence",
            Self::GruResetBefore => "gru_reset_before_sequence",
        }
    }

    /// Number of gates.
    pub const fn gates(self) -> usize {
        match self {
            Self::Tanh | Self::Relu => 1,
            Self::Lstm => 4,
            Self::Gru | Self::GruResetBefore => 3,
        }
    }

    /// Number of states: hidden, and cell where there is one.
    pub const fn states(self) -> usize {
        if matches!(self, Self::Lstm) { 2 } else { 1 }
    }
}
