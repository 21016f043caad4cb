// What the page does in the browser alone: pictures are read and made smaller here, so that no file is sent or stored.
const nl = {
  LARGEST_SIDE: 1024,
  LARGEST_FILE: 600000, // bytes; a request may have 1 MiB, and base64 takes a third more
  chosen: {}, // kind to file: a picture, a clip

  base64(blob) {
    return new Promise((found, failed) => {
      const reader = new FileReader();
      reader.onload = () => found(reader.result.slice(reader.result.indexOf(",") + 1));
      reader.onerror = () => failed(reader.error);
      reader.readAsDataURL(blob);
    });
  },

  async fit(file) {
    if (file.size <= nl.LARGEST_FILE) return file;
    const image = await createImageBitmap(file);
    const scale = Math.min(1, nl.LARGEST_SIDE / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((found) => canvas.toBlob(found, "image/jpeg", 0.9));
  },

  show(kind, blob) {
    nl.chosen[kind] = blob;
    const preview = document.getElementById(`nl-preview-${kind}`);
    if (preview.src) URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(blob);
    preview.hidden = !blob.type.startsWith("image/");
  },

  // The picture that was chosen, as base64; "" without one, or where it is none that a browser can read.
  async picture() {
    const file = nl.chosen.picture;
    if (!file) return "";
    try {
      return await nl.base64(await nl.fit(file));
    } catch {
      return nl.base64(file.slice(0, nl.LARGEST_FILE));
    }
  },

  // The clip that was chosen, as base64; "" without one, or where it is too large, which is said below it.
  async clip() {
    const file = nl.chosen.clip;
    const isLarge = file?.size > nl.LARGEST_FILE;
    const largest = `${nl.LARGEST_FILE / 1e6} MB`;
    document.getElementById("nl-too-large").textContent = isLarge
      ? `This file has ${(file.size / 1e6).toFixed(1)} MB, and at most ${largest} can be sent: make it smaller or shorter.`
      : "";
    return file && !isLarge ? nl.base64(file) : "";
  },

  async fill(file) {
    const box = document.querySelector("#nl-series textarea");
    const setter = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set;
    setter.call(box, await file.slice(0, nl.LARGEST_FILE).text());
    box.dispatchEvent(new Event("input", { bubbles: true }));
  },

  take(kind, file) {
    nl.show(kind, file);
    document.getElementById(`nl-describe-${kind}`).click();
  },
};
window.nl = nl;

document.addEventListener("change", (event) => {
  const [file] = event.target.files ?? [];
  if (!file) return;
  const [, kind] = event.target.id.match(/^nl-(picture|clip)$/) ?? [];
  if (kind) nl.take(kind, file);
  if (event.target.id === "nl-table") nl.fill(file);
});
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.("#nl-tabs [role=tab]");
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !step) return;
  const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
  const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
});
document.addEventListener("dragover", (event) => {
  if (event.target.closest?.("[data-takes]")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const [file] = event.dataTransfer?.files ?? [];
  const place = event.target.closest?.("[data-takes]");
  if (!file || !place) return;
  event.preventDefault();
  nl.take(place.dataset.takes, file);
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  const place = [...document.querySelectorAll("[data-takes]")].find((found) => found.offsetParent);
  if (file?.type.startsWith("image/") && place) nl.take(place.dataset.takes, file);
});
