// Passkeys: asks the browser for one, and sends what it answers with the form. Forms stay hidden where there are none.
"use strict";

const passkeys = window.PublicKeyCredential;

async function ask(form) {
  const asked = await fetch(form.dataset.options, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (!asked.ok) throw new Error(String(asked.status));
  const options = await asked.json();
  const credential = form.dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey: passkeys.parseCreationOptionsFromJSON(options) })
    : await navigator.credentials.get({ publicKey: passkeys.parseRequestOptionsFromJSON(options) });
  return JSON.stringify(credential.toJSON());
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const isSupported = Boolean(passkeys?.parseRequestOptionsFromJSON);
  form.hidden = !isSupported;
  for (const note of document.querySelectorAll("[data-passkey-unsupported]")) note.hidden = isSupported;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button"), problem = form.querySelector("[data-problem]");
    button.disabled = true;
    problem.textContent = "";
    try {
      form.elements.answer.value = await ask(form);
      form.submit();
    } catch {
      problem.textContent = problem.dataset.problem;
      button.disabled = false;
    }
  });
}
