// Variables that optimized code keeps in registers, whole and in pieces.
struct _SPAN {
  long long First;
  long long Last;
};

__declspec(noinline) long long Measure(long long first, long long step) {
  struct _SPAN span = {first, first + step};
  while (span.Last < 1000) {
    span.First += step;
    span.Last *= 3;
  }
  return span.Last - span.First;
}

__declspec(noinline) double Scale(double factor, double shift) {
  double scaled = factor * 2.5;
  return scaled * scaled + shift;
}
