//! Each string once, however many events have it.

use std::collections::HashMap;
use std::rc::Rc;

#[derive(Debug, Default)]
pub struct Strings {
    numbers: HashMap<Rc<str>, u32>,
    list: Vec<Rc<str>>,
}

impl Strings {
    /// Its number. Strings are spelled out already.
    pub fn add(&mut self, text: String) -> u32 {
        if let Some(number) = self.numbers.get(text.as_str()) {
            return *number;
        }
        // Four thousand million different strings fit into no memory.
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let text: Rc<str> = text.into();
        self.numbers.insert(Rc::clone(&text), number);
        self.list.push(text);
        number
    }

    pub fn get(&self, number: u32) -> &str {
        self.list.get(number as usize).map_or("", |text| text)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|text| &**text)
    }
}
