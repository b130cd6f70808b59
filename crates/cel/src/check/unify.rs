//! Types that are not known yet, and what they turn out to be.

use std::rc::Rc;

use crate::types::Type;

/// How many parts a type may have that an open one is bound to.
const LARGEST: u32 = 500;

/// What open types are bound to.
#[derive(Default)]
pub struct Bindings<'t> {
    bound: Vec<Option<Type<'t>>>,
    /// The order in which they were bound, so that what was tried can be taken back.
    trail: Vec<u32>,
}

impl<'t> Bindings<'t> {
    /// A new open type.
    pub fn open(&mut self) -> Type<'t> {
        self.bound.push(None);
        Type::Open(self.bound.len() as u32 - 1)
    }

    /// Binds an open type.
    pub fn bind(&mut self, number: u32, ty: Type<'t>) {
        if let Some(own) = self.bound.get_mut(number as usize) {
            *own = Some(ty);
            self.trail.push(number);
        }
    }

    /// A mark to go back to.
    pub fn mark(&self) -> usize {
        self.trail.len()
    }

    /// Takes back what was bound since.
    pub fn back_to(&mut self, mark: usize) {
        for number in self.trail.drain(mark..) {
            self.bound[number as usize] = None;
        }
    }

    /// What an open type is bound to, where it is.
    fn find<'b>(&'b self, mut ty: &'b Type<'t>) -> &'b Type<'t> {
        // Bindings never form a circle: see `may_be`.
        while let Type::Open(number) = ty {
            match self.bound.get(*number as usize) {
                Some(Some(bound)) => ty = bound,
                _ => break,
            }
        }
        ty
    }

    /// A type with what is known put in; what is not known stays open, or is anything.
    pub fn resolve(&self, ty: &Type<'t>, close: bool) -> Type<'t> {
        let inner = |ty: &Rc<Type<'t>>| Rc::new(self.resolve(ty, close));
        match self.find(ty) {
            Type::Open(_) if close => Type::Dyn,
            Type::List(item) => Type::List(inner(item)),
            Type::Optional(item) => Type::Optional(inner(item)),
            Type::Type(item) => Type::Type(inner(item)),
            Type::Map(parts) => Type::map(self.resolve(&parts.0, close), self.resolve(&parts.1, close)),
            other => other.clone(),
        }
    }

    /// Whether an open type may be bound to a type: it must not stand within it, and types stay small, since what is
    /// written twice in each of many steps would take all memory.
    fn may_be(&self, number: u32, ty: &Type<'t>, left: &mut u32) -> bool {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match self.find(ty) {
            Type::Open(other) => *other != number,
            other => other.parts().into_iter().all(|part| self.may_be(number, part, left)),
        }
    }

    /// Whether a value of a type may be where another is wanted; binds what is open on both sides.
    pub fn assignable(&mut self, wanted: &Type<'t>, found: &Type<'t>) -> bool {
        let mark = self.mark();
        let fits = self.fits(wanted, found);
        if !fits {
            self.back_to(mark);
        }
        fits
    }

    fn fits(&mut self, wanted: &Type<'t>, found: &Type<'t>) -> bool {
        let (wanted, found) = (self.find(wanted).clone(), self.find(found).clone());
        match (&wanted, &found) {
            (Type::Open(left), Type::Open(right)) if left == right => true,
            (Type::Open(number), other) | (other, Type::Open(number)) => {
                if !self.may_be(*number, other, &mut LARGEST.clone()) {
                    return false;
                }
                self.bind(*number, other.clone());
                true
            }
            (Type::Dyn | Type::Wrong, _) | (_, Type::Dyn | Type::Wrong) => true,
            // What may be absent may be null.
            (Type::Object(_) | Type::Opaque(_) | Type::Timestamp | Type::Duration, Type::Null)
            | (Type::Null, Type::Object(_) | Type::Opaque(_) | Type::Timestamp | Type::Duration) => true,
            (Type::List(left), Type::List(right)) | (Type::Optional(left), Type::Optional(right)) => {
                self.fits(left, right)
            }
            (Type::Type(_), Type::Type(_)) => true,
            (Type::Map(left), Type::Map(right)) => {
                self.fits(&left.0, &right.0) && self.fits(&left.1, &right.1)
            }
            (left, right) => left.same(right),
        }
    }
}
