/** Small line icons, drawn in the text's colour. Decorative: the control that holds one names itself. */
const PATHS = {
  camera: "M2.5 6.5h9v7h-9zM11.5 9.2 17 6.5v7l-5.5-2.7",
  jobs: "M3 5h2M3 10h2M3 15h2M8 5h9M8 10h9M8 15h9",
  workers: "M6 6h8v8H6zM8.5 2.5V6M11.5 2.5V6M8.5 14v3.5M11.5 14v3.5M2.5 8.5H6M2.5 11.5H6M14 8.5h3.5M14 11.5h3.5",
  incidents: "M5 17.5v-14M5 4h9.5l-2.2 3.5 2.2 3.5H5",
  day: "M3 4.5h14v12H3zM3 8.5h14M7 2.5v3.5M13 2.5v3.5M6.5 12h4",
  models: "M10 2.5l1.9 5.6 5.6 1.9-5.6 1.9L10 17.5l-1.9-5.6L2.5 10l5.6-1.9z",
  speech: "M3 8.5v3M6.5 5.5v9M10 3v14M13.5 6.5v7M17 8.5v3",
  plus: "M10 4v12M4 10h12",
  edit: "M4 16l.8-3.4L13 4.4l2.6 2.6-8.2 8.2L4 16zM11.5 6l2.5 2.5",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10M8.5 9v4.5M11.5 9v4.5",
  power: "M10 3v7M6 5.6a6 6 0 1 0 8 0",
  play: "M6 4.5v11l9-5.5z",
  pause: "M7 4.5v11M13 4.5v11",
  expand: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  live: "M10 10h.01M6.8 13.2a4.5 4.5 0 0 1 0-6.4M13.2 6.8a4.5 4.5 0 0 1 0 6.4M4.5 15.5a7.8 7.8 0 0 1 0-11M15.5 4.5a7.8 7.8 0 0 1 0 11",
  save: "M10 3v9M6.5 8.5 10 12l3.5-3.5M4 16h12",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1",
  moon: "M16 11.8A6.5 6.5 0 0 1 8.2 4 6.5 6.5 0 1 0 16 11.8z",
  screen: "M3 4.5h14v9H3zM7.5 16.5h5M10 13.5v3",
  leave: "M8 4H4v12h4M11 6.5 14.5 10 11 13.5M14.5 10H8",
  check: "M4 10.5 8.2 15 16 5.5",
  undo: "M7.5 4 4 7.5 7.5 11M4.5 7.5h7a4.2 4.2 0 0 1 0 8.5H8",
  next: "M8 4.5 13.5 10 8 15.5",
  footage: "M10 13V3.5M6.5 7 10 3.5 13.5 7M4 12v4h12v-4",
  back: "M12 4.5 6.5 10l5.5 5.5",
  alert: "M10 3 2.5 16.5h15zM10 8.5v3.5M10 14.3h.01",
  close: "M5 5l10 10M15 5 5 15",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, className = "size-4" }: { name: IconName; className?: string }) {
  return (
    <svg aria-hidden viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth={1.6} strokeLinecap="round"
      strokeLinejoin="round" className={`shrink-0 ${className}`}>
      <path d={PATHS[name]} />
    </svg>
  );
}
