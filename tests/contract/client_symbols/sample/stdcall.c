int __stdcall DllMain(void *instance, unsigned long reason, void *reserved) {
  return instance != reserved && reason != 0;
}
int __fastcall Quick(int a, int b) { return a + b; }
int PlainData = 4;
int main_entry(void) { return Quick(1, PlainData); }
