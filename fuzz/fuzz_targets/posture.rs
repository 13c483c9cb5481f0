#![cfg_attr(fuzzing, no_main)]

fuzz::target!(posture);
