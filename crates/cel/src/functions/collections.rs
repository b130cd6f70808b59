//! Lists: Kubernetes' functions, those of sets, and the greatest of many.

use std::cmp::Ordering;

use super::{Budget, Error, Outcome, no_overload, numbers, times};
use crate::value::{List, Value};

/// Calls a function on a list.
pub fn method<'v>(list: &List<'v>, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Outcome<'v> {
    if name == "size" && arguments.is_empty() {
        return Ok(Value::Int(list.len() as i64));
    }
    budget.spend(list.len() as u64)?;
    match (name, arguments) {
        ("isSorted", []) => {
            let items: Vec<Value<'v>> = list.iter().collect();
            for pair in items.windows(2) {
                if pair[0].order(&pair[1]).ok_or_else(no_overload)? == Ordering::Greater {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        }
        ("sum", []) => {
            let mut items = list.iter();
            let Some(first) = items.next() else { return Ok(Value::Int(0)) };
            items.try_fold(first, |sum, item| {
                let pair = [sum, item];
                times::operator("+", &pair).unwrap_or_else(|| numbers::operator("+", &pair))
            })
        }
        ("min" | "max", []) => {
            let items: Vec<Value<'v>> = list.iter().collect();
            if items.is_empty() {
                return Err(Error::fault(format!("{name} called on empty list")));
            }
            extreme(name == "max", &items)
        }
        ("indexOf", [item]) => Ok(Value::Int(place(list.iter().position(|own| own.same(item))))),
        ("lastIndexOf", [item]) => {
            let items: Vec<Value<'v>> = list.iter().collect();
            Ok(Value::Int(place(items.iter().rposition(|own| own.same(item)))))
        }
        ("join", []) => join(list, "", budget),
        ("join", [Value::String(separator)]) => join(list, separator, budget),
        ("reverse", []) => {
            let mut items: Vec<Value<'v>> = list.iter().collect();
            items.reverse();
            Ok(Value::list(items))
        }
        _ => Err(no_overload()),
    }
}

fn place(found: Option<usize>) -> i64 {
    found.map_or(-1, |index| index as i64)
}

fn join<'v>(list: &List<'v>, separator: &str, budget: &Budget) -> Outcome<'v> {
    let mut text = String::new();
    for (index, item) in list.iter().enumerate() {
        let Value::String(item) = item else { return Err(no_overload()) };
        budget.spend_on(item.len() + separator.len())?;
        if index > 0 {
            text.push_str(separator);
        }
        text.push_str(&item);
    }
    Ok(Value::text(text))
}

/// The greatest or the least of values; of one list, of its items.
pub fn extreme<'v>(greatest: bool, values: &[Value<'v>]) -> Outcome<'v> {
    let items: Vec<Value<'v>> = match values {
        [Value::List(list)] => list.iter().collect(),
        values => values.to_vec(),
    };
    let mut items = items.into_iter();
    let mut found = items.next().ok_or_else(no_overload)?;
    for item in items {
        let order = item.order(&found).ok_or_else(no_overload)?;
        if order == (if greatest { Ordering::Greater } else { Ordering::Less }) {
            found = item;
        }
    }
    Ok(found)
}

/// Functions of lists as sets.
pub fn sets<'v>(name: &str, left: &List<'v>, right: &List<'v>, budget: &Budget) -> Outcome<'v> {
    budget.spend((left.len() * right.len()) as u64)?;
    let holds = |all: &List<'v>, item: &Value<'v>| all.iter().any(|own| own.same(item));
    Ok(Value::Bool(match name {
        "contains" => right.iter().all(|item| holds(left, &item)),
        "intersects" => right.iter().any(|item| holds(left, &item)),
        "equivalent" => {
            right.iter().all(|item| holds(left, &item)) && left.iter().all(|item| holds(right, &item))
        }
        _ => return Err(no_overload()),
    }))
}
