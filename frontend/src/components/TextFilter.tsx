import { useEffect, useEffectEvent, useState } from "react";

import { INPUT } from "./ui/Field";

const AFTER_MS = 300;

interface Props {
  label: string;
  value: string;
  onChange: (text: string) => void;
  className?: string;
}

/** A text to filter by, told a moment after the last key; follows where it is changed from outside. */
export function TextFilter({ label, value, onChange, className = "" }: Props) {
  const [typed, setTyped] = useState(value);
  const [seen, setSeen] = useState(value);
  const [told, setTold] = useState(value);
  if (value !== seen) {
    setSeen(value);
    if (value !== told) {
      setTyped(value);
      setTold(value);
    } // else it is what was told, and more may have been typed since
  }
  const tell = useEffectEvent(onChange);
  useEffect(() => {
    const text = typed.trim();
    if (text === told) return undefined;
    const timer = window.setTimeout(() => {
      setTold(text);
      tell(text);
    }, AFTER_MS);
    return () => window.clearTimeout(timer);
  }, [typed, told]);
  return (
    <input type="search" aria-label={label} placeholder={label} value={typed} maxLength={200} className={`${INPUT} ${className}`}
      onChange={(event) => setTyped(event.target.value)} />
  );
}
