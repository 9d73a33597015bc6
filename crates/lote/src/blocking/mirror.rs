//! The macro that makes the blocking twin of a builder: the async one, what drives it, and its setters by name.

/// Makes the blocking twin of a builder. Each setter is that of the async one, with its parameters; a test
/// (`tests/facade/mirror.rs`) notices when one is missing or takes something else.
macro_rules! mirror {
    (
        $(#[$meta:meta])*
        $name:ident $(<$life:lifetime>)? $(($extra:ident: $extra_type:ty))? of $module:ident {
            $($(#[$on:meta])* fn $setter:ident($($argument:ident: $type:ty),*);)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name $(<$life>)? {
            driver: $crate::blocking::driver::Driver,
            inner: $module::$name $(<$life>)?,
            $($extra: $extra_type,)?
        }

        impl $(<$life>)? std::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }

        impl $(<$life>)? $name $(<$life>)? {
            $(
                $(#[$on])*
                #[doc = concat!(
                    "As [`", stringify!($module), "::", stringify!($name), "::", stringify!($setter), "`](",
                    stringify!($module), "::", stringify!($name), "::", stringify!($setter), ").",
                )]
                pub fn $setter(self, $($argument: $type),*) -> Self {
                    Self { inner: self.inner.$setter($($argument),*), ..self }
                }
            )*
        }
    };
}

pub(super) use mirror;
