// The settings form: its values as fields of a request, kept for this tab's session.

const settingsKey = `inferform.settings.${facts.service}`;
const form = document.getElementById("settings");

/** The request fields of section 4.3; what is empty is left to the server's default. */
function settings() {
  const fields = {};
  for (const input of form.elements) {
    if (!input.name) continue;
    if (input.type === "checkbox") fields[input.name] = input.checked;
    else if (input.type === "number") {
      if (input.value !== "" && input.validity.valid) fields[input.name] = input.valueAsNumber;
    } else if (input.value) fields[input.name] = input.value;
  }
  if (fields.stop) fields.stop = fields.stop.split("|").filter(Boolean);
  return fields;
}

function keepSettings() {
  const kept = {};
  for (const input of form.elements) if (input.name) kept[input.name] = input.type === "checkbox" ? input.checked : input.value;
  sessionStorage.setItem(settingsKey, JSON.stringify(kept));
}

function restoreSettings() {
  const kept = JSON.parse(sessionStorage.getItem(settingsKey) ?? "{}");
  for (const [name, value] of Object.entries(kept)) {
    const input = form.elements[name];
    if (!input) continue;
    if (input.type === "checkbox") input.checked = value;
    else input.value = value;
  }
}

form.addEventListener("input", keepSettings);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("defaults").addEventListener("click", () => {
  form.reset();
  keepSettings();
});
restoreSettings();
