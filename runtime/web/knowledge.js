// The knowledge tab: documents that answers may be taken from; upload with progress, list, remove.

const documents = document.getElementById("documents");
const uploads = document.getElementById("uploads");
const drop = document.getElementById("drop");
const picker = document.getElementById("file");

function bytes(count) {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

async function listDocuments() {
  const listed = await (await withToken(() => call("/documents"))).json();
  documents.replaceChildren(...listed.map(documentLine));
  if (!listed.length) documents.append(line("No documents yet."));
}

function line(text) {
  const item = document.createElement("li");
  const note = document.createElement("span");
  note.className = "faint";
  note.textContent = text;
  item.append(note);
  return item;
}

function documentLine({ name, bytes: size, passages, origin }) {
  const item = document.createElement("li");
  const title = document.createElement("span");
  title.textContent = name;
  const note = document.createElement("span");
  note.className = "faint";
  note.textContent = `${bytes(size)}, ${passages} passages, ${origin}`;
  item.append(title);
  if (origin === "uploaded") {
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${name}`);
    remove.addEventListener("click", async () => {
      remove.disabled = true;
      try {
        await withToken(() => call(`/documents/${encodeURIComponent(name)}`, { method: "DELETE" }));
        await listDocuments();
      } catch (problem) {
        note.textContent = problem.message;
        note.className = "error";
        remove.disabled = false;
      }
    });
    item.append(remove);
  }
  item.append(note);
  return item;
}

function upload(file) {
  const item = document.createElement("li");
  const title = document.createElement("span");
  title.textContent = file.name;
  const progress = document.createElement("progress");
  progress.max = 1;
  progress.setAttribute("aria-label", `Upload of ${file.name}`);
  const note = document.createElement("span");
  note.className = "faint";
  note.setAttribute("role", "status");
  item.append(title, progress, note);
  uploads.append(item);
  return new Promise((resolve) => {
    // fetch cannot tell how much of a body has left; this can.
    const request = new XMLHttpRequest();
    request.open("POST", `${base}/uploadfile`);
    request.setRequestHeader("Authorization", token.get());
    request.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      progress.value = event.loaded / event.total;
      note.textContent = event.loaded < event.total ? `${bytes(event.loaded)} of ${bytes(event.total)}` : "Reading and indexing";
      if (event.loaded === event.total) progress.removeAttribute("value");
    };
    request.onloadend = () => {
      progress.remove();
      if (request.status === 200) item.remove();
      else {
        let message = "The upload failed.";
        try {
          message = JSON.parse(request.responseText).message ?? message;
        } catch {
          // No body: the connection broke.
        }
        note.textContent = message;
        note.className = "error";
      }
      resolve();
    };
    const body = new FormData();
    body.append("file", file);
    request.send(body);
  });
}

async function uploadAll(files) {
  try {
    await withToken(() => call("/documents"));
    for (const file of files) await upload(file);
    await listDocuments();
  } catch (problem) {
    uploads.append(line(problem.message));
  }
}

async function showKnowledge() {
  try {
    await listDocuments();
  } catch (problem) {
    documents.replaceChildren(line(problem.message));
  }
}

picker.addEventListener("change", async () => {
  const files = [...picker.files];
  picker.value = "";
  uploads.replaceChildren();
  await uploadAll(files);
});
drop.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  picker.click();
});
for (const kind of ["dragover", "dragleave", "drop"])
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") uploadAll([...event.dataTransfer.files]);
  });
