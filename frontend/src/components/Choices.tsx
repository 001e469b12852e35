interface Props<T> {
  label: string;
  value: T;
  options: [value: T, name: string][];
  onChange: (value: T) => void;
}

/** One of a few, each a button; the chosen one is pressed. */
export function Choices<T>({ label, value, options, onChange }: Props<T>) {
  return (
    <div role="group" aria-label={label} className="flex gap-0.5">
      {options.map(([option, name]) => (
        <button key={name} type="button" aria-pressed={option === value} onClick={() => onChange(option)}
          className="rounded-md px-2.5 py-1 text-xs font-medium text-quiet hover:bg-raised aria-pressed:bg-raised aria-pressed:text-ink">
          {name}
        </button>
      ))}
    </div>
  );
}
