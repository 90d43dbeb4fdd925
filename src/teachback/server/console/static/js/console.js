// What HTML cannot do by itself; without this file every page still works.

import "./relative-time.js";
import "./copy-text.js";
import "./time-chart.js";
import { watchTheme } from "./theme.js";
import { watchNotes } from "./notes.js";
import { watchForms } from "./forms.js";
import { watchKeyboard } from "./keyboard.js";

watchTheme();
watchNotes();
watchForms();
watchKeyboard();
