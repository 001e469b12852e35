import { type ReactNode, useEffect, useRef } from "react";

import { Button } from "./Button";

/** A modal dialog of the browser's own: focus stays inside, Escape closes. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-label={title}
      className="m-auto max-h-[92dvh] w-[min(36rem,94vw)] rounded-xl border border-line bg-surface text-ink shadow-xl backdrop:bg-black/50">
      <div className="sticky top-0 z-10 flex items-center justify-between gap-4 border-b border-line bg-surface py-2.5 pr-3 pl-5">
        <h2 className="font-semibold">{title}</h2>
        <Button look="quiet" icon="close" aria-label="Close" onClick={() => dialog.current?.close()} />
      </div>
      <div className="p-5">{children}</div>
    </dialog>
  );
}
