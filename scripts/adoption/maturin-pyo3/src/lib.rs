use pyo3::prelude::*;

/// Welcomes and subtracts.
#[pymodule]
mod greet {
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;

    /// A welcome.
    #[pyfunction]
    fn welcome(who: &str) -> String {
        format!("Welcome, {}!", who)
    }

    /// A difference. Raises ValueError if it is negative.
    #[pyfunction]
    fn subtract(from: u32, number: u32) -> PyResult<i64> {
        match from.checked_sub(number) {
            Some(rest) => Ok(i64::from(rest)),
            None => Err(PyValueError::new_err(format!("{from} is less than {number}"))),
        }
    }
}
