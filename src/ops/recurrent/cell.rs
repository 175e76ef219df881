//! What a step of a recurrence computes.

/// The kinds of recurrent layer. `x` is a gate's part of the input with its bias, `W·h` that of the state
/// before with its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// h' = tanh(x + W·h)
    Tanh,
    /// h' = max(x + W·h, 0)
    Relu,
    /// i, f, g, o: c' = σ(f)·c + σ(i)·tanh(g), h' = σ(o)·tanh(c') (Hochreiter and Schmidhuber 1997, without peepholes).
    Lstm,
    /// r, z, n: n = tanh(x + σ(r)·W·h), h' = (1 − σ(z))·n + σ(z)·h; PyTorch's, and Keras's with `reset_after`.
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

    /// The number of values that a step saves for each unit for the backward pass: its own values, then the states before it, the
    /// hidden one last.
    ///
    /// | cell | saved values |
    /// |---|---|
    /// | tanh, relu | h', h |
    /// | LSTM | i, f, g, o, c, h |
    /// | GRU | r, z, n, W·h of n, h |
    /// | GRU, reset before | r, z, n, r·h, h |
    pub(super) const fn saved(self) -> usize {
        match self {
            Self::Tanh | Self::Relu => 2,
            Self::Lstm => 6,
            Self::Gru | Self::GruResetBefore => 5,
        }
    }

    /// The number of gradients that a step returns for each unit: those of its gates' sums; for [`Gru`](Self::Gru), then those of
    /// the gates' products with the state, which differ for the new gate, as the reset gate scales it. Both are contiguous, so that
    /// each is one operand.
    pub(super) const fn gradients(self) -> usize {
        match self {
            Self::Gru => 6,
            other => other.gates(),
        }
    }

    /// The first of the gradients of the gates' products with the state.
    pub(super) const fn of_products(self) -> usize {
        self.gradients() - self.gates()
    }
}
