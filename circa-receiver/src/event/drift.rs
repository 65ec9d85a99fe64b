//! Documented fields that an envelope does not have as documented.

/// Which documented fields of an envelope are missing or of another type. They cost no event:
/// nothing is identified or routed by them (contract, section 5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Drift(u8);

impl Drift {
    pub(crate) const CREATED: Self = Self(1);
    pub(crate) const LIVEMODE: Self = Self(2);
    pub(crate) const TEAM_ID: Self = Self(4);

    const NAMES: [(Self, &'static str); 3] =
        [(Self::CREATED, "created"), (Self::LIVEMODE, "livemode"), (Self::TEAM_ID, "teamId")];

    pub(super) fn note(&mut self, field: Self, is_absent: bool) {
        if is_absent {
            self.0 |= field.0;
        }
    }

    /// The names of the fields.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(field, _)| self.0 & field.0 != 0).map(|(_, name)| name)
    }

    /// As bits, one for each field.
    #[cfg(feature = "receiver")]
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// The fields of these that are not among those bits.
    #[cfg(feature = "receiver")]
    pub(crate) fn without(self, bits: u8) -> Self {
        Self(self.0 & !bits)
    }
}
